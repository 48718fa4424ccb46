//! SSM.

use aws_sdk_ssm::Client;
use aws_sdk_ssm::operation::delete_parameter::{DeleteParameterError, DeleteParameterOutput};
use aws_sdk_ssm::operation::describe_parameters::DescribeParametersOutput;
use aws_sdk_ssm::operation::get_parameter::{GetParameterError, GetParameterOutput};
use aws_sdk_ssm::operation::get_parameters::GetParametersOutput;
use aws_sdk_ssm::operation::put_parameter::PutParameterOutput;
use aws_sdk_ssm::primitives::DateTime;
use aws_sdk_ssm::types::error::ParameterNotFound;
use aws_sdk_ssm::types::{Parameter, ParameterMetadata};
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
use time::OffsetDateTime;

use crate::Aws;

fn not_found() -> ParameterNotFound {
    ParameterNotFound::builder()
        .meta(
            aws_sdk_ssm::error::ErrorMetadata::builder()
                .code("ParameterNotFound")
                .build(),
        )
        .build()
}

pub(crate) fn client(aws: &Aws) -> Client {
    let here = aws.clone();
    let delete = mock!(Client::delete_parameter).then_compute_response(move |request| {
        let name = request.name().unwrap_or_default();
        here.note("ssm:DeleteParameter", name);
        match here.state().parameters.remove(name) {
            Some(_) => MockResponse::Output(DeleteParameterOutput::builder().build()),
            None => MockResponse::Error(DeleteParameterError::ParameterNotFound(not_found())),
        }
    });
    let here = aws.clone();
    let describe = mock!(Client::describe_parameters).then_compute_output(move |request| {
        let prefix = request
            .parameter_filters()
            .first()
            .and_then(|filter| filter.values().first());
        here.note("ssm:DescribeParameters", prefix.map_or("", String::as_str));
        let state = here.state();
        let found = state
            .parameters
            .iter()
            .filter(|(name, _)| prefix.is_none_or(|prefix| name.starts_with(prefix)))
            .map(|(name, (at, _))| {
                ParameterMetadata::builder()
                    .name(name)
                    .last_modified_date(DateTime::from_secs(at.unix_timestamp()))
                    .build()
            });
        DescribeParametersOutput::builder()
            .set_parameters(Some(found.collect()))
            .build()
    });
    let here = aws.clone();
    let get = mock!(Client::get_parameter).then_compute_response(move |request| {
        let name = request.name().unwrap_or_default();
        here.note("ssm:GetParameter", name);
        match here.state().parameters.get(name) {
            Some((_, value)) => MockResponse::Output(
                GetParameterOutput::builder()
                    .parameter(Parameter::builder().name(name).value(value).build())
                    .build(),
            ),
            None => MockResponse::Error(GetParameterError::ParameterNotFound(not_found())),
        }
    });
    let here = aws.clone();
    let several = mock!(Client::get_parameters).then_compute_output(move |request| {
        here.note("ssm:GetParameters", &request.names().join(" "));
        let (mut found, mut invalid) = (Vec::new(), Vec::new());
        for name in request.names() {
            match here.state().parameters.get(name) {
                Some((_, value)) => {
                    found.push(Parameter::builder().name(name).value(value).build());
                }
                None => invalid.push(name.clone()),
            }
        }
        GetParametersOutput::builder()
            .set_parameters(Some(found))
            .set_invalid_parameters(Some(invalid))
            .build()
    });
    let here = aws.clone();
    let put = mock!(Client::put_parameter).then_compute_output(move |request| {
        let name = request.name().unwrap_or_default().to_owned();
        here.note("ssm:PutParameter", &name);
        let value = request.value().unwrap_or_default().to_owned();
        here.state()
            .parameters
            .insert(name, (OffsetDateTime::UNIX_EPOCH, value));
        PutParameterOutput::builder().build()
    });
    mock_client!(
        aws_sdk_ssm,
        RuleMode::MatchAny,
        [&delete, &describe, &get, &several, &put]
    )
}

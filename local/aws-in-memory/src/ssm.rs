//! SSM.

use aws_sdk_ssm::Client;
use aws_sdk_ssm::operation::delete_parameter::{DeleteParameterError, DeleteParameterOutput};
use aws_sdk_ssm::operation::delete_parameters::DeleteParametersOutput;
use aws_sdk_ssm::operation::describe_parameters::{
    DescribeParametersError, DescribeParametersOutput,
};
use aws_sdk_ssm::operation::get_parameter::{GetParameterError, GetParameterOutput};
use aws_sdk_ssm::operation::get_parameters::{GetParametersError, GetParametersOutput};
use aws_sdk_ssm::operation::put_parameter::{PutParameterError, PutParameterOutput};
use aws_sdk_ssm::primitives::DateTime;
use aws_sdk_ssm::types::error::ParameterNotFound;
use aws_sdk_ssm::types::{Parameter, ParameterMetadata, ParameterType};
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
use time::OffsetDateTime;

use crate::{Aws, Written};

fn not_found() -> ParameterNotFound {
    ParameterNotFound::builder()
        .meta(
            aws_sdk_ssm::error::ErrorMetadata::builder()
                .code("ParameterNotFound")
                .build(),
        )
        .build()
}

fn denied() -> aws_sdk_ssm::error::ErrorMetadata {
    aws_sdk_ssm::error::ErrorMetadata::builder()
        .code("AccessDeniedException")
        .message("User is not authorized")
        .build()
}

/// Whether the operator may not make this call with this parameter.
fn is_denied(aws: &Aws, call: &str, name: &str) -> bool {
    let state = aws.state();
    let mut denied = state.denied.iter();
    denied.any(|(denied, end)| denied == call && name.ends_with(end))
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
    let describe = mock!(Client::describe_parameters).then_compute_response(move |request| {
        if is_denied(&here, "DescribeParameters", "") {
            return MockResponse::Error(DescribeParametersError::generic(denied()));
        }
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
                let written = state.written.get(name).cloned().unwrap_or_default();
                ParameterMetadata::builder()
                    .name(name)
                    .set_key_id(written.key)
                    .set_description(written.description)
                    .version(written.version)
                    .last_modified_date(DateTime::from_secs(at.unix_timestamp().max(written.at)))
                    .build()
            });
        MockResponse::Output(
            DescribeParametersOutput::builder()
                .set_parameters(Some(found.collect()))
                .build(),
        )
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
    let several = mock!(Client::get_parameters).then_compute_response(move |request| {
        // The deployment's key decrypts for the functions alone.
        let decrypting = request.with_decryption().unwrap_or_default();
        if decrypting && is_denied(&here, "Decrypt", "") {
            return MockResponse::Error(GetParametersError::generic(denied()));
        }
        let mut names = request.names().iter();
        if names.any(|name| is_denied(&here, "GetParameters", name)) {
            return MockResponse::Error(GetParametersError::generic(denied()));
        }
        here.note("ssm:GetParameters", &request.names().join(" "));
        let (mut found, mut invalid) = (Vec::new(), Vec::new());
        for name in request.names() {
            let value = here.state().parameters.get(name).cloned();
            match value {
                Some((_, value)) => {
                    let version = here.state().written.get(name).map(|one| one.version);
                    let found_one = Parameter::builder().name(name).value(value);
                    found.push(found_one.set_version(version).build());
                }
                None => invalid.push(name.clone()),
            }
        }
        MockResponse::Output(
            GetParametersOutput::builder()
                .set_parameters(Some(found))
                .set_invalid_parameters(Some(invalid))
                .build(),
        )
    });
    let here = aws.clone();
    let put = mock!(Client::put_parameter).then_compute_response(move |request| {
        let name = request.name().unwrap_or_default().to_owned();
        if is_denied(&here, "PutParameter", &name) {
            return MockResponse::Error(PutParameterError::generic(denied()));
        }
        let key = request.key_id().map(str::to_owned);
        let mut state = here.state();
        if state.denied_after == Some(0) {
            return MockResponse::Error(PutParameterError::generic(denied()));
        }
        let own = key
            .as_ref()
            .filter(|key| key.starts_with("alias/") && key.ends_with("-secrets"));
        if own.is_some() && own != state.secrets_key.as_ref() {
            let meta = aws_sdk_ssm::error::ErrorMetadata::builder().code("InvalidKeyId");
            return MockResponse::Error(PutParameterError::generic(meta.build()));
        }
        state.calls.push(format!("ssm:PutParameter {name}"));
        state.denied_after = state.denied_after.map(|left| left - 1);
        let version = state.written.get(&name).map_or(0, |one| one.version) + 1;
        let secure = request.r#type() == Some(&ParameterType::SecureString);
        let written = Written {
            key: key.or_else(|| secure.then(|| "alias/aws/ssm".to_owned())),
            description: request.description().map(str::to_owned),
            version,
            at: OffsetDateTime::now_utc().unix_timestamp(),
        };
        state.written.insert(name.clone(), written);
        let value = request.value().unwrap_or_default().to_owned();
        state
            .parameters
            .insert(name, (OffsetDateTime::UNIX_EPOCH, value));
        MockResponse::Output(PutParameterOutput::builder().version(version).build())
    });
    let here = aws.clone();
    let forget = mock!(Client::delete_parameters).then_compute_output(move |request| {
        assert!(request.names().len() <= 10, "SSM deletes ten at a time");
        here.note("ssm:DeleteParameters", &request.names().join(" "));
        for name in request.names() {
            here.state().parameters.remove(name);
        }
        DeleteParametersOutput::builder().build()
    });
    mock_client!(
        aws_sdk_ssm,
        RuleMode::MatchAny,
        [&delete, &describe, &forget, &get, &several, &put]
    )
}

//! Reads parameters that may not exist.

use aws::ErrorKind;

use crate::Deps;

/// A parameter's value; `None` if it does not exist.
pub(crate) async fn read(deps: &Deps, name: &str) -> Result<Option<String>, fleet::Error> {
    match deps.fleet.ssm.get_parameter().name(name).send().await {
        Ok(found) => Ok(found
            .parameter()
            .and_then(|parameter| parameter.value())
            .map(str::to_owned)),
        Err(error) => {
            let error = aws::Error::new("ssm:GetParameter", name, &error);
            if error.kind() == ErrorKind::NotFound {
                Ok(None)
            } else {
                Err(error.into())
            }
        }
    }
}

/// The values of several parameters, in their order, in one call; `None` for each that does not exist.
pub(crate) async fn read_all<const N: usize>(
    deps: &Deps,
    names: [&str; N],
) -> Result<[Option<String>; N], fleet::Error> {
    let wanted = names.map(str::to_owned).to_vec();
    let request = deps.fleet.ssm.get_parameters().set_names(Some(wanted));
    let answer = request
        .send()
        .await
        .map_err(|error| aws::Error::new("ssm:GetParameters", names.join(" "), &error))?;
    Ok(names.map(|name| {
        let mut found = answer.parameters().iter();
        let parameter = found.find(|parameter| parameter.name() == Some(name))?;
        parameter.value().map(str::to_owned)
    }))
}

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

//! The secrets of a deployment in Parameter Store.

use std::collections::BTreeMap;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::types::{ParameterMetadata, ParameterStringFilter, ParameterType};
use protocol::Secret;
use time::OffsetDateTime;

use crate::Error;

/// Parameter Store's name for the key that it uses unless told otherwise.
const MANAGED_KEY: &str = "alias/aws/ssm";
/// Names that one call reads or deletes.
const BATCH: usize = 10;
/// Pages of names that are read; a page has fifty.
const PAGES: usize = 100;

/// What the webhook secret's description says, in Parameter Store too: the state of a change.
const SETTLED: &str = "Webhook secrets, one per line; GitHub signs with the first";
const UNSETTLED: &str = "Webhook secrets, one per line; GitHub may not sign with the first yet: run fargate-runners setup --rotate-webhook-secret again";

/// A secret of the App.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    AppId,
    PrivateKey,
    WebhookSecret,
}

impl Name {
    pub const ALL: [Self; 3] = [Self::AppId, Self::PrivateKey, Self::WebhookSecret];

    /// The last part of the parameter's name.
    pub const fn text(self) -> &'static str {
        match self {
            Self::AppId => "app-id",
            Self::PrivateKey => "private-key",
            Self::WebhookSecret => "webhook-secret",
        }
    }
}

/// What is in Parameter Store.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Those that are there.
    pub there: Vec<Name>,
    /// Their values, if they may be decrypted: the deployment's own key decrypts for the functions alone.
    pub values: BTreeMap<Name, Secret>,
    /// Version of the webhook secret.
    version: i64,
}

impl Stored {
    pub fn has(&self, name: Name) -> bool {
        self.there.contains(&name)
    }

    /// The webhook's secrets, the one that GitHub gets first.
    pub fn webhook_secrets(&self) -> Vec<Secret> {
        let value = self.values.get(&Name::WebhookSecret);
        value.map(lines).unwrap_or_default()
    }
}

/// What Parameter Store shows of the parameters without their values.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    parameters: Vec<ParameterMetadata>,
    /// Whether they could be listed.
    listed: bool,
}

/// How far a change of the webhook secret has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// GitHub signs with the first.
    Settled,
    /// GitHub may not have the first yet; it was written then.
    Unsettled(OffsetDateTime),
    /// Parameter Store does not tell: an earlier version wrote it, or listing is not allowed.
    Unknown,
}

/// The secrets of one deployment.
#[derive(Clone, Debug)]
pub struct Secrets {
    ssm: Client,
    prefix: String,
    /// A key of one's own; without it the deployment's, where there is one.
    key: Option<String>,
}

impl Secrets {
    pub fn new(ssm: Client, prefix: &str, key: Option<String>) -> Self {
        Self {
            ssm,
            prefix: prefix.to_owned(),
            key,
        }
    }

    /// Full name of a parameter.
    pub fn parameter(&self, name: Name) -> String {
        format!("/{}/github/{}", self.prefix, name.text())
    }

    fn key(&self) -> String {
        let own = || format!("alias/{}-secrets", self.prefix);
        self.key.clone().unwrap_or_else(own)
    }

    /// Those that are there, with their values as far as they may be decrypted.
    pub async fn read(&self) -> Result<Stored, Error> {
        match self.get(true).await {
            Ok(stored) => Ok(stored),
            // Whoever may not read them at all is told so by this call.
            Err(error) if error.is_denied() => {
                let mut stored = self.get(false).await.map_err(Failed::told)?;
                stored.values.clear();
                Ok(stored)
            }
            Err(error) => Err(error.told()),
        }
    }

    async fn get(&self, decrypt: bool) -> Result<Stored, Failed> {
        let names = Name::ALL.map(|name| self.parameter(name));
        let found = self
            .ssm
            .get_parameters()
            .set_names(Some(names.to_vec()))
            .with_decryption(decrypt)
            .send()
            .await
            .map_err(|error| Failed::new("ssm:GetParameters", &self.prefix, &error))?;
        let mut stored = Stored::default();
        for name in Name::ALL {
            let parameter = self.parameter(name);
            let mut parameters = found.parameters().iter();
            let Some(one) = parameters.find(|one| one.name() == Some(&parameter)) else {
                continue;
            };
            let value = one.value().unwrap_or_default().trim();
            if value.is_empty() {
                continue;
            }
            stored.there.push(name);
            stored.values.insert(name, Secret::new(value));
            if name == Name::WebhookSecret {
                stored.version = one.version();
            }
        }
        Ok(stored)
    }

    /// What the deployment tells of itself: no secrets. Nothing of what is not there, nor of any of it
    /// if it may not be read.
    pub async fn published(
        &self,
        names: &[String],
    ) -> Result<Option<BTreeMap<String, String>>, Error> {
        let found = self
            .ssm
            .get_parameters()
            .set_names(Some(names.to_vec()))
            .send()
            .await
            .map_err(|error| Failed::new("ssm:GetParameters", &names.join(" "), &error));
        let found = match found {
            Ok(found) => found,
            Err(error) if error.is_denied() => return Ok(None),
            Err(error) => return Err(error.told()),
        };
        let parameters = found.parameters().iter();
        let pairs = parameters.filter_map(|one| Some((one.name()?.into(), one.value()?.into())));
        Ok(Some(pairs.collect()))
    }

    /// Keys and descriptions; nothing if they may not be listed.
    pub async fn show(&self) -> Result<Shown, Error> {
        match self.list(&format!("/{}/github/", self.prefix)).await {
            Ok(parameters) => Ok(Shown {
                parameters,
                listed: true,
            }),
            Err(error) if error.is_denied() => Ok(Shown::default()),
            Err(error) => Err(error.told()),
        }
    }

    /// How far a change of the webhook secret has come.
    pub fn change(&self, stored: &Stored, shown: &Shown) -> Change {
        let parameter = self.parameter(Name::WebhookSecret);
        let mut parameters = shown.parameters.iter();
        let Some(one) = parameters.find(|one| one.name() == Some(&parameter)) else {
            return Change::Unknown;
        };
        match one.description() {
            // A listing may lag behind a value that was just written.
            Some(SETTLED) if one.version() == stored.version => Change::Settled,
            Some(UNSETTLED) => {
                let written = one
                    .last_modified_date()
                    .map(aws_sdk_ssm::primitives::DateTime::secs);
                let at = written.and_then(|secs| OffsetDateTime::from_unix_timestamp(secs).ok());
                at.map_or(Change::Unknown, Change::Unsettled)
            }
            _ => Change::Unknown,
        }
    }

    /// Those with the AWS-managed key, which decrypts for the whole account.
    pub fn under_managed_key(&self, shown: &Shown) -> Vec<Name> {
        let under = |name: &Name| {
            let parameter = self.parameter(*name);
            shown
                .parameters
                .iter()
                .any(|one| one.name() == Some(&parameter) && one.key_id() == Some(MANAGED_KEY))
        };
        Name::ALL.into_iter().filter(under).collect()
    }

    /// Writes one of them over what was there, and returns the key that encrypts it: the AWS-managed one
    /// while the deployment has none. The webhook secret is `settled` if GitHub signs with its first line.
    pub async fn write(&self, name: Name, value: &Secret, settled: bool) -> Result<String, Error> {
        let key = self.key();
        match self.put(name, value, Some(&key), settled).await {
            Ok(()) => Ok(key),
            Err(error) if error.has_no_key() && self.key.is_none() => {
                let managed = self.put(name, value, None, settled).await;
                managed.map_err(Failed::told)?;
                Ok(MANAGED_KEY.to_owned())
            }
            Err(error) => Err(error.told()),
        }
    }

    /// Encrypts one of them again with the deployment's key. `None` if the deployment has none.
    pub async fn encrypt_again(
        &self,
        name: Name,
        value: &Secret,
        settled: bool,
    ) -> Result<Option<String>, Error> {
        let key = self.key();
        match self.put(name, value, Some(&key), settled).await {
            Ok(()) => Ok(Some(key)),
            Err(error) if error.has_no_key() && self.key.is_none() => Ok(None),
            Err(error) => Err(error.told()),
        }
    }

    /// Whether secrets can be written: asked before an App is made, whose key is shown once.
    pub async fn rehearse(&self) -> Result<(), Error> {
        let name = format!("/{}/github/setup-rehearsal", self.prefix);
        let value = Secret::new("written by fargate-runners setup, which deletes it at once");
        let key = self.key();
        let put = self.put_as(&name, &value, Some(&key), None).await;
        match put {
            Err(error) if error.has_no_key() && self.key.is_none() => {
                let managed = self.put_as(&name, &value, None, None).await;
                managed.map_err(Failed::told)?;
            }
            other => other.map_err(Failed::told)?,
        }
        self.delete(&[name]).await
    }

    /// Deletes those that a run wrote and could not complete.
    pub async fn take_back(&self, written: &[Name]) -> Result<(), Error> {
        let names: Vec<_> = written.iter().map(|name| self.parameter(*name)).collect();
        self.delete(&names).await
    }

    /// Deletes everything of the deployment, what the functions wrote included, and returns the names.
    pub async fn remove_all(&self) -> Result<Vec<String>, Error> {
        let found = self.list(&format!("/{}/", self.prefix)).await;
        let found = found.map_err(Failed::told)?.into_iter();
        let names: Vec<String> = found.filter_map(|one| one.name).collect();
        self.delete(&names).await?;
        Ok(names)
    }

    async fn delete(&self, names: &[String]) -> Result<(), Error> {
        for some in names.chunks(BATCH) {
            let request = self.ssm.delete_parameters().set_names(Some(some.to_vec()));
            request.send().await.map_err(|error| {
                Failed::new("ssm:DeleteParameters", &some.join(" "), &error).told()
            })?;
        }
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ParameterMetadata>, Failed> {
        let filter = ParameterStringFilter::builder()
            .key("Name")
            .option("BeginsWith")
            .values(prefix)
            .build()
            .map_err(|error| {
                Failed::new(
                    "ssm:DescribeParameters",
                    prefix,
                    &aws_sdk_ssm::error::SdkError::<aws_sdk_ssm::Error>::construction_failure(
                        error,
                    ),
                )
            })?;
        let mut pages = self
            .ssm
            .describe_parameters()
            .parameter_filters(filter)
            .max_results(50)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let Some(page) = pages.next().await else {
                break;
            };
            let page =
                page.map_err(|error| Failed::new("ssm:DescribeParameters", prefix, &error))?;
            found.extend(page.parameters.unwrap_or_default());
        }
        Ok(found)
    }

    async fn put(
        &self,
        name: Name,
        value: &Secret,
        key: Option<&str>,
        settled: bool,
    ) -> Result<(), Failed> {
        let description =
            (name == Name::WebhookSecret).then_some(if settled { SETTLED } else { UNSETTLED });
        self.put_as(&self.parameter(name), value, key, description)
            .await
    }

    async fn put_as(
        &self,
        name: &str,
        value: &Secret,
        key: Option<&str>,
        description: Option<&str>,
    ) -> Result<(), Failed> {
        self.ssm
            .put_parameter()
            .name(name)
            .value(value.expose())
            .r#type(ParameterType::SecureString)
            .set_key_id(key.map(str::to_owned))
            .set_description(description.map(str::to_owned))
            .overwrite(true)
            .send()
            .await
            .map(drop)
            .map_err(|error| Failed::new("ssm:PutParameter", name, &error))
    }
}

impl Shown {
    /// Whether the parameters could be listed.
    pub const fn was_listed(&self) -> bool {
        self.listed
    }
}

/// The secrets in a parameter, one per line.
pub fn lines(value: &Secret) -> Vec<Secret> {
    let lines = value.expose().lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(Secret::new)
        .collect()
}

/// One per line.
pub fn joined(secrets: &[Secret]) -> Secret {
    let lines: Vec<_> = secrets.iter().map(Secret::expose).collect();
    Secret::new(lines.join("\n"))
}

/// A new secret for webhooks.
pub fn new_secret() -> Result<Secret, Error> {
    Ok(Secret::new(random_hex::<32>()?))
}

/// Random bytes of the operating system, in hexadecimal.
pub fn random_hex<const N: usize>() -> Result<String, Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| Error::Other("the operating system gives no random numbers".to_owned()))?;
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    Ok(digits.collect::<Vec<_>>().concat())
}

/// A failed call, with AWS's name for the error.
struct Failed {
    code: String,
    error: aws::Error,
}

impl Failed {
    fn new<E>(call: &'static str, target: &str, error: &aws_sdk_ssm::error::SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let service = error.as_service_error();
        Self {
            code: service
                .and_then(|error| error.code())
                .unwrap_or_default()
                .to_owned(),
            error: aws::Error::new(call, target, error),
        }
    }

    fn is_denied(&self) -> bool {
        self.code == "AccessDeniedException"
    }

    fn has_no_key(&self) -> bool {
        self.code == "InvalidKeyId"
    }

    fn told(self) -> Error {
        Error::Aws(self.error)
    }
}

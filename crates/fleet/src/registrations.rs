//! Registrations in SSM.

use aws::ErrorKind;
use protocol::ParameterPath;
use time::OffsetDateTime;

use crate::{Error, Fleet};

impl Fleet {
    /// Deletes a registration. A missing one was taken by its agent or deleted before.
    pub async fn delete_registration(&self, path: &ParameterPath) -> Result<(), Error> {
        match self
            .ssm
            .delete_parameter()
            .name(path.to_string())
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = aws::Error::new("ssm:DeleteParameter", path.to_string(), &error);
                if error.kind() == ErrorKind::NotFound {
                    Ok(())
                } else {
                    Err(error.into())
                }
            }
        }
    }

    /// The registrations of this deployment that no agent has taken, with their creation times.
    /// Reads only names, never values.
    pub async fn registrations(&self) -> Result<Vec<(ParameterPath, OffsetDateTime)>, Error> {
        let root = format!("{}/", ParameterPath::root(&self.prefix));
        let filter = aws_sdk_ssm::types::ParameterStringFilter::builder()
            .key("Name")
            .option("BeginsWith")
            .values(&root)
            .build()
            .map_err(|error| Error::ForeignInput {
                name: root.clone(),
                problem: error.to_string(),
            })?;
        let mut pages = self
            .ssm
            .describe_parameters()
            .parameter_filters(filter)
            .max_results(50)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page
                .map_err(|error| aws::Error::new("ssm:DescribeParameters", root.clone(), &error))?;
            for parameter in page.parameters() {
                let path = parameter
                    .name()
                    .and_then(|name| name.parse::<ParameterPath>().ok());
                let at = parameter
                    .last_modified_date()
                    .and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok());
                if let (Some(path), Some(at)) = (path, at)
                    && *path.runner().deployment() == self.deployment
                {
                    found.push((path, at));
                }
            }
        }
        Ok(found)
    }
}

//! Runner groups of an organization.

use serde::Deserialize;

use crate::access::Access;
use crate::transport::Call;
use crate::{Error, Installation, Page, Scope};

/// A repository has a single group with this id, as in GitHub's examples ([endpoint]).
///
/// [endpoint]: https://docs.github.com/rest/actions/self-hosted-runners#create-configuration-for-a-just-in-time-runner-for-a-repository
const GROUP_OF_REPOSITORY: u64 = 1;
/// An organization can have 10,000 groups; a search that long means a wrong name.
const MOST_PAGES: u32 = 100;

#[derive(Deserialize)]
struct Group {
    id: u64,
    name: String,
}

/// A runner group of an organization, with what decides whose jobs its runners get ([fields]).
///
/// [fields]: https://docs.github.com/rest/actions/self-hosted-runner-groups#list-self-hosted-runner-groups-for-an-organization
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RunnerGroup {
    pub id: u64,
    pub name: String,
    /// `all`, `private`, or `selected`: those that [`Installation::group_repositories`] lists.
    pub visibility: String,
    #[serde(default)]
    pub allows_public_repositories: bool,
    /// Whether it is an enterprise's, whose settings change it.
    #[serde(default)]
    pub inherited: bool,
    #[serde(default)]
    pub restricted_to_workflows: bool,
    #[serde(default)]
    pub selected_workflows: Vec<String>,
}

/// A repository that a runner group lists.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct GroupRepository {
    pub full_name: String,
    pub private: bool,
    /// `public`, `private` or `internal`, if GitHub reports it.
    pub visibility: Option<String>,
}

impl Installation {
    /// The id of a runner group by its name, ignoring case. A repository has one group and needs no
    /// call. An organization's groups are read ([endpoint]) and the id is cached.
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/self-hosted-runner-groups#list-self-hosted-runner-groups-for-an-organization
    pub async fn runner_group(&self, scope: &Scope, name: &str) -> Result<u64, Error> {
        let Scope::Organization(login) = scope else {
            return Ok(GROUP_OF_REPOSITORY);
        };
        let key = (login.clone(), name.to_ascii_lowercase());
        if let Some(id) = self.github.groups().get(&key) {
            return Ok(*id);
        }
        let mut existing = Vec::new();
        for page in 1..=MOST_PAGES {
            let page = self.groups(scope, page).await?;
            if let Some(group) = page
                .items
                .iter()
                .find(|g| g.name.eq_ignore_ascii_case(name))
            {
                self.github.groups().insert(key, group.id);
                return Ok(group.id);
            }
            existing.extend(page.items.into_iter().map(|group| group.name));
            if !page.more {
                break;
            }
        }
        Err(Error::RunnerGroupMissing {
            group: name.to_owned(),
            organization: login.clone(),
            existing,
        })
    }

    /// Removes the cached id of a group that GitHub rejected; someone may have recreated the group.
    /// Returns whether it was cached.
    pub fn forget_runner_group(&self, scope: &Scope, name: &str) -> bool {
        let Scope::Organization(login) = scope else {
            return false;
        };
        let key = (login.clone(), name.to_ascii_lowercase());
        self.github.groups().remove(&key).is_some()
    }

    /// A page, from 1, of an organization's runner groups. Its token may only look.
    pub async fn runner_groups(
        &self,
        organization: &str,
        page: u32,
    ) -> Result<Page<RunnerGroup>, Error> {
        #[derive(Deserialize)]
        struct List {
            runner_groups: Vec<RunnerGroup>,
        }
        let scope = Scope::Organization(organization.to_owned());
        let call = Call::get(scope.actions("runner-groups"))
            .page(page)
            .needs(Access::runner_groups());
        let list: List = self.call(&call).await?.json(&call)?;
        Ok(Page::new(list.runner_groups))
    }

    /// A page, from 1, of the repositories that a group of selected ones lists ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/self-hosted-runner-groups#list-repository-access-to-a-self-hosted-runner-group-in-an-organization
    pub async fn group_repositories(
        &self,
        organization: &str,
        group: u64,
        page: u32,
    ) -> Result<Page<GroupRepository>, Error> {
        #[derive(Deserialize)]
        struct List {
            repositories: Vec<GroupRepository>,
        }
        let scope = Scope::Organization(organization.to_owned());
        let call = Call::get(scope.actions(&format!("runner-groups/{group}/repositories")))
            .page(page)
            .needs(Access::runner_groups());
        let list: List = self.call(&call).await?.json(&call)?;
        Ok(Page::new(list.repositories))
    }

    async fn groups(&self, scope: &Scope, page: u32) -> Result<Page<Group>, Error> {
        #[derive(Deserialize)]
        struct List {
            runner_groups: Vec<Group>,
        }
        let call = Call::get(scope.actions("runner-groups"))
            .page(page)
            .needs(Access::runners(scope));
        let list: List = self.settled(&call, None).await?.json(&call)?;
        Ok(Page::new(list.runner_groups))
    }
}

//! Starting and stopping, and everything that can be asked and done from Rust.

use std::collections::BTreeMap;
use std::future::IntoFuture as _;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::api::checks::CheckRun;
use crate::api::deliveries::{Delivery, Exchange};
use crate::api::runners::{Registration, Runner};
use crate::config::{Config, Settings, WebhookTarget};
use crate::control::Rejected;
use crate::faults::{DeliveryFault, Fault};
use crate::simulated::SimulatedRunner;
use crate::state::directory::{Access, DEFAULT_GROUP, OwnerType, RunnerGroup, Scope};
use crate::state::jobs::{Job, NewJob};
use crate::state::world::{Shared, Snapshot, World};
use crate::wire::answer::Refusal;
use crate::wire::jwt::public_half;
use crate::wire::meter::{ENTERPRISE_PREFIX, RequestRecord, meter};
use crate::{api, control, service};

/// How often limits are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long open requests may take when the stand-in is stopped.
const STOP: Duration = Duration::from_millis(500);

/// The stand-in, running until it is dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    url: String,
    serving: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts on 127.0.0.1, within the current runtime.
    ///
    /// # Errors
    ///
    /// The port is taken.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(io::Error::other)?;
        let shared = Shared::new(World::new(&config, url.clone()), http);
        let serving = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self {
            shared,
            url,
            serving: Some(serving),
        })
    }

    /// Stops, and waits until nothing is served any more.
    pub async fn stop(mut self) {
        self.shared.stop();
        if let Some(serving) = self.serving.take() {
            // It ends by itself; there is nothing to learn from how.
            let _ = serving.await;
        }
    }

    /// Where it is: GitHub's API, its pages and the runners' service in one.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The App's number.
    pub fn app_id(&self) -> u64 {
        self.shared.read(|world| world.app.id)
    }

    /// The secret that signs webhooks.
    pub fn webhook_secret(&self) -> String {
        self.shared.read(|world| world.webhook_secret.clone())
    }

    /// From now on webhooks are signed with this secret.
    pub fn set_webhook_secret(&self, secret: &str) {
        self.shared
            .note(|world| secret.clone_into(&mut world.webhook_secret));
    }

    /// Where webhooks go from now on; nowhere if nothing is given.
    pub fn set_webhook(&self, target: Option<WebhookTarget>) {
        self.shared.note(|world| world.webhook = target);
    }

    /// What can be changed, as it is.
    pub fn settings(&self) -> Settings {
        self.shared.read(|world| world.settings.clone())
    }

    /// Changes settings.
    pub fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        self.shared.change(|world| world.change_settings(change));
    }

    /// Adds a repository (`owner/name`), its owner, and the App's installation there.
    ///
    /// # Errors
    ///
    /// The name is none.
    pub fn add_repository(
        &self,
        full_name: &str,
        owner_type: OwnerType,
        private: bool,
    ) -> Result<(), Rejected> {
        self.shared
            .change(|world| {
                world
                    .directory
                    .add_repository(full_name, owner_type, private)
            })
            .map_err(Rejected::invalid)
    }

    /// The App's installation on an account.
    pub fn installation(&self, login: &str) -> Option<u64> {
        self.shared
            .read(|world| world.directory.installation_of(login).map(|found| found.id))
    }

    /// Installs the App on a known account; the installation's id.
    pub fn install(&self, login: &str) -> Option<u64> {
        self.shared.change(|world| world.directory.install(login))
    }

    /// Takes the App away from an account; its tokens are worth nothing any more.
    pub fn uninstall(&self, login: &str) {
        self.shared.change(|world| world.directory.uninstall(login));
    }

    /// Suspends the App's installation, or ends that.
    pub fn suspend(&self, login: &str, suspended: bool) {
        self.shared.change(|world| world.suspend(login, suspended));
    }

    /// From now on the App's installation includes all of the account's repositories but these.
    pub fn exclude(&self, login: &str, repositories: &[&str]) {
        let names = repositories.iter().map(|name| (*name).to_owned()).collect();
        self.shared.change(|world| world.exclude(login, &names));
    }

    /// GitHub loses the assignment of a queued job: no runner gets it until it is released.
    ///
    /// # Errors
    ///
    /// It is not queued, or there is none.
    pub fn lose_job(&self, id: u64) -> Result<Job, Rejected> {
        self.shared.change(|world| world.lose_job(id))
    }

    /// GitHub finds a lost job again.
    ///
    /// # Errors
    ///
    /// It is not lost, or there is none.
    pub fn release_job(&self, id: u64) -> Result<Job, Rejected> {
        self.shared.change(|world| world.release_job(id))
    }

    /// Gives a permission to an installation, or takes it away. For tokens issued before, too.
    pub fn set_permission(&self, login: &str, permission: &str, access: Option<Access>) {
        self.shared
            .change(|world| world.set_permission(login, permission, access));
    }

    /// Adds a runner group to an organization, or replaces the one of that name; its id.
    ///
    /// # Errors
    ///
    /// There is no such organization.
    pub fn add_runner_group(&self, login: &str, group: RunnerGroup) -> Result<u64, Rejected> {
        self.shared
            .change(|world| world.directory.add_group(login, group))
            .map_err(Rejected::invalid)
    }

    /// Gives the App a further key, as its settings page does; a private key in PEM.
    ///
    /// # Errors
    ///
    /// It is not one.
    pub fn add_app_key(&self, pem: &str) -> Result<(), Rejected> {
        let key = public_half(pem).map_err(Rejected::invalid)?;
        self.shared.note(|world| world.app.keys.push(key));
        Ok(())
    }

    /// Deletes a key of the App.
    ///
    /// # Errors
    ///
    /// It is not a private key in PEM.
    pub fn delete_app_key(&self, pem: &str) -> Result<(), Rejected> {
        let key = public_half(pem).map_err(Rejected::invalid)?;
        self.shared
            .note(|world| world.app.keys.retain(|known| *known != key));
        Ok(())
    }

    /// Makes every installation token worthless, as if its hour were over.
    pub fn expire_tokens(&self) {
        self.shared.note(|world| world.tokens.expire_all());
    }

    /// Queues a job and tells about it.
    ///
    /// # Errors
    ///
    /// The repository's name is none, or there is no label.
    pub fn create_job(&self, new: NewJob) -> Result<Job, Rejected> {
        self.shared.change(|world| world.create_job(new))
    }

    /// Cancels a job.
    ///
    /// # Errors
    ///
    /// It has ended, or there is none.
    pub fn cancel_job(&self, id: u64) -> Result<Job, Rejected> {
        self.shared.change(|world| world.cancel_job(id))
    }

    /// Makes a queued job wait for an approval.
    ///
    /// # Errors
    ///
    /// It is not queued, or there is none.
    pub fn hold_job(&self, id: u64) -> Result<Job, Rejected> {
        self.shared.change(|world| world.hold_job(id))
    }

    /// Approves a waiting job.
    ///
    /// # Errors
    ///
    /// It is not waiting, or there is none.
    pub fn approve_job(&self, id: u64) -> Result<Job, Rejected> {
        self.shared.change(|world| world.approve_job(id))
    }

    /// Runs a completed job again; the new job.
    ///
    /// # Errors
    ///
    /// It is not completed, or there is none.
    pub fn rerun_job(&self, id: u64) -> Result<Job, Rejected> {
        self.shared.change(|world| world.rerun_job(id))
    }

    /// Deletes a run with its jobs; nothing tells of it.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn delete_run(&self, id: u64) -> Result<(), Rejected> {
        self.shared.change(|world| world.delete_run(id))
    }

    /// The job of that number.
    pub fn job(&self, id: u64) -> Option<Job> {
        self.shared.read(|world| world.job(id)).ok()
    }

    /// All jobs, the oldest first.
    pub fn jobs(&self) -> Vec<Job> {
        self.snapshot().jobs
    }

    /// All check runs, the oldest first.
    pub fn check_runs(&self) -> Vec<CheckRun> {
        self.shared
            .read(|world| world.check_runs.values().cloned().collect())
    }

    /// All runners in GitHub's lists.
    pub fn runners(&self) -> Vec<Runner> {
        self.snapshot().runners
    }

    /// All deliveries, the oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.snapshot().deliveries
    }

    /// A delivery with what went over the wire.
    pub fn exchange(&self, id: u64) -> Option<Exchange> {
        self.shared.read(|world| world.deliveries.get(&id).cloned())
    }

    /// Everything.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.read(World::snapshot)
    }

    /// What is not finished: jobs without a conclusion, runners still registered, jobs begun twice.
    pub fn leftovers(&self) -> Vec<String> {
        self.shared.read(World::leftovers)
    }

    /// Waits until `look` says yes.
    ///
    /// # Errors
    ///
    /// It has not within `limit`; what there was then.
    pub async fn wait_for(
        &self,
        limit: Duration,
        look: impl Fn(&Snapshot) -> bool,
    ) -> Result<Snapshot, Box<Snapshot>> {
        let found = self
            .shared
            .wait(limit, |world| {
                let snapshot = world.snapshot();
                look(&snapshot).then_some(snapshot)
            })
            .await;
        found.ok_or_else(|| Box::new(self.snapshot()))
    }

    /// Waits until no webhook is under way; whether that was so within `limit`.
    pub async fn wait_for_deliveries(&self, limit: Duration) -> bool {
        let idle = |world: &World| (world.sending == 0).then_some(());
        self.shared.wait(limit, idle).await.is_some()
    }

    /// Sends a delivery again, as the App's settings page does. Whether there is such a one.
    pub fn redeliver(&self, id: u64) -> bool {
        self.shared.change(|world| world.redeliver(id))
    }

    /// Sends a `ping`.
    pub fn ping(&self) {
        self.shared.change(World::ping);
    }

    /// The last calls of GitHub's API.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared
            .read(|world| world.traffic.records.iter().cloned().collect())
    }

    /// How often each route was called: `POST /orgs/{org}/actions/runners/generate-jitconfig` → 3.
    pub fn request_counts(&self) -> BTreeMap<String, u64> {
        self.shared.read(|world| world.traffic.counts.clone())
    }

    /// Forgets the calls that were made. What they used of a limit stays used.
    pub fn clear_requests(&self) {
        self.shared.note(|world| world.traffic.clear());
    }

    /// Lets something go wrong.
    pub fn fault(&self, fault: Fault) {
        self.shared.note(|world| world.faults.push(fault));
    }

    /// Lets something go wrong with webhooks.
    pub fn delivery_fault(&self, fault: DeliveryFault) {
        self.shared.note(|world| world.delivery_faults.push(fault));
    }

    /// What will go wrong yet, with calls and with webhooks: `times` is how often.
    pub fn faults(&self) -> (Vec<Fault>, Vec<DeliveryFault>) {
        self.shared
            .read(|world| (world.faults.clone(), world.delivery_faults.clone()))
    }

    /// Nothing goes wrong any more.
    pub fn clear_faults(&self) {
        self.shared.note(World::clear_faults);
    }

    /// Drops an idle runner, as GitHub sometimes does; a connected listener ends.
    ///
    /// # Errors
    ///
    /// It has a job, or there is none.
    pub fn drop_runner(&self, id: u64) -> Result<(), Rejected> {
        self.shared.change(|world| world.drop_runner(id))
    }

    /// Uses an idle runner's registration up without telling it: it is in no list any more, gets no
    /// job, and goes on listening.
    ///
    /// # Errors
    ///
    /// It has a job, or there is none.
    pub fn ghost_runner(&self, id: u64) -> Result<(), Rejected> {
        self.shared.change(|world| world.ghost_runner(id))
    }

    /// Tells a connected runner to replace itself by a newer version.
    ///
    /// # Errors
    ///
    /// It has a job or no connection, or there is none.
    pub fn update_runner(&self, id: u64) -> Result<(), Rejected> {
        self.shared.change(|world| world.update_runner(id))
    }

    /// Registers a runner at `owner/name` or at an organization, as an App's call does: its number
    /// and its just-in-time configuration.
    ///
    /// # Errors
    ///
    /// What GitHub would refuse: an unknown place, a name that is taken, no label.
    pub fn register_runner(
        &self,
        scope: &str,
        name: &str,
        labels: &[&str],
    ) -> Result<(u64, String), Rejected> {
        let registration = Registration {
            name: name.to_owned(),
            group_id: DEFAULT_GROUP,
            labels: labels.iter().map(ToString::to_string).collect(),
            ephemeral: true,
        };
        self.shared.change(|world| {
            let scope = world.scope_named(scope)?;
            let id = world.register(&scope, registration).map_err(refused)?;
            let runner = world
                .runners
                .get(&id)
                .ok_or_else(|| Rejected::absent(format!("there is no runner {id}")))?;
            let files = world.registration_files(runner, "Default", "_work");
            Ok((id, files.encoded()))
        })
    }

    /// A token by which `config.sh` registers runners at `owner/name` or at an organization.
    ///
    /// # Errors
    ///
    /// There is no such place.
    pub fn registration_token(&self, scope: &str) -> Result<String, Rejected> {
        self.shared.change(|world| {
            let scope = world.scope_named(scope)?;
            Ok(world.issue_registration_token(scope).0)
        })
    }

    /// Connects a runner without a process, by its just-in-time configuration.
    ///
    /// # Errors
    ///
    /// The configuration is none, or GitHub refuses it: deleted, used up, or in use.
    pub fn connect(&self, encoded_jit_config: &str) -> Result<SimulatedRunner, Rejected> {
        SimulatedRunner::connect(&self.shared, encoded_jit_config)
    }

    /// Forgets everything but the App, the webhook's target and which ids were given.
    pub fn reset(&self) {
        self.shared.change(World::reset);
    }
}

impl World {
    fn scope_named(&self, name: &str) -> Result<Scope, Rejected> {
        let scope = match name.split_once('/') {
            Some((owner, name)) => self.directory.scope(owner, Some(name)),
            None => self.directory.scope(name, None),
        };
        scope
            .map_err(|_| Rejected::absent(format!("there is no repository or organization {name}")))
    }
}

fn refused(refusal: Refusal) -> Rejected {
    Rejected::invalid(refusal.message)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let clock = tokio::spawn(tick(shared.clone()));
    let stopping = shared.clone();
    let serving = axum::serve(listener, router(shared.clone()))
        .with_graceful_shutdown(async move { stopping.stopped().await })
        .into_future();
    let patience = async {
        shared.stopped().await;
        tokio::time::sleep(STOP).await;
    };
    tokio::select! {
        _ = serving => {}
        () = patience => {}
    }
    clock.abort();
}

async fn tick(shared: Arc<Shared>) {
    let mut interval = tokio::time::interval(TICK);
    loop {
        interval.tick().await;
        shared.tick();
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let api = Router::new()
        .merge(api::installations::routes())
        .merge(api::runners::routes())
        .merge(api::jobs::routes())
        .merge(api::checks::routes())
        .merge(api::deliveries::routes())
        .fallback(|| async { Refusal::not_found() });
    Router::new()
        .nest(ENTERPRISE_PREFIX, api.clone())
        .merge(api)
        .merge(service::sessions::routes())
        .layer(from_fn_with_state(shared.clone(), meter))
        .merge(control::routes())
        .with_state(shared)
}

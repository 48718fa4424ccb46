//! The `verify` Lambda.

use std::convert::Infallible;

use lambda_runtime::{LambdaEvent, service_fn};
use runtime::settings::Settings;
use time::OffsetDateTime;
use verify::{Deps, Event, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::from_env();
    runtime::telemetry::init(&settings)?;
    let deps = &Deps::from_settings(&settings)?;
    let serve = lambda_runtime::run(service_fn(move |event: LambdaEvent<Event>| async move {
        // Boxed: three layers of SDK futures inside the runtime's are too deep for the compiler.
        let answer = Box::pin(handle(deps, event.payload, OffsetDateTime::now_utc())).await;
        Ok::<_, Infallible>(answer)
    }));
    // The secret is on its way while the first webhook is fetched, which waits for it if it has to.
    let prefetch = deps.secrets.prefetch(OffsetDateTime::now_utc());
    tokio::join!(serve, prefetch).0
}

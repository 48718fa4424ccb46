//! The `verify` Lambda.

use std::convert::Infallible;

use time::OffsetDateTime;
use verify::{Deps, handle};

fn main() -> std::process::ExitCode {
    runtime::lambda::run(async |settings| {
        let deps = &Deps::from_settings(settings)?;
        let serve = runtime::lambda::serve(async |event| {
            // Boxed: three layers of SDK futures inside the runtime's are too deep for the compiler.
            let answer = Box::pin(handle(deps, event, OffsetDateTime::now_utc())).await;
            Ok::<_, Infallible>(answer)
        });
        // Both are read while the first webhook is fetched, which waits for them if it has to. One after the
        // other, because two at once would open two connections, each with a TLS handshake.
        let prefetch = async {
            deps.secrets.prefetch(OffsetDateTime::now_utc()).await;
            deps.pause.is_on(OffsetDateTime::now_utc()).await;
        };
        tokio::join!(serve, prefetch).0
    })
}

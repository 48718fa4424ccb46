//! Where the client gets its App from.

use std::future::Future;
use std::pin::Pin;

use protocol::Fault;

use crate::App;

/// What an [`AppSource`] answers with; boxed, because the client holds any source.
pub type AppFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, SourceError>> + Send + 'a>>;

/// Gives the client its App. The client asks for every App token it signs, so a source caches.
pub trait AppSource: Send + Sync + 'static {
    /// The App as it is known.
    fn app(&self) -> AppFuture<'_, App>;

    /// GitHub does not know `refused` any more: the App as it is now, or nothing if it is still the
    /// same. A key that was rotated is found this way without a failed job.
    fn newer(&self, refused: App) -> AppFuture<'_, Option<App>>;
}

/// An App that never changes.
impl AppSource for App {
    fn app(&self) -> AppFuture<'_, App> {
        Box::pin(async { Ok(self.clone()) })
    }

    fn newer(&self, _: App) -> AppFuture<'_, Option<App>> {
        Box::pin(async { Ok(None) })
    }
}

/// The App's credentials could not be had. Carries what went wrong at the source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// The name under which the state machine meets it.
    pub fault: Fault,
    /// What was tried, on what, and what to do.
    pub message: String,
}

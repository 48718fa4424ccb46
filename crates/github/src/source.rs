//! Where the client gets its App from.

use std::future::Future;
use std::pin::Pin;

use protocol::Fault;

use crate::App;

/// The future of an [`AppSource`]; boxed, because the client accepts any source.
pub type AppFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, SourceError>> + Send + 'a>>;

/// Provides the client's App. The client asks for every JWT that it signs, so a source caches.
pub trait AppSource: Send + Sync + 'static {
    /// The current App.
    fn app(&self) -> AppFuture<'_, App>;

    /// Called when GitHub rejects `refused`: returns the current App, or `None` if it is unchanged.
    /// A rotated key is found this way without a failed job.
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

/// The App's credentials are unavailable. Wraps the source's error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// The fault name for the state machine.
    pub fault: Fault,
    pub message: String,
}

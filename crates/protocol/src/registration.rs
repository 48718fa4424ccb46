//! A runner's registration and its path in SSM.
//!
//! `token` writes a [`Registration`] as one SecureString; the agent reads it once and deletes it.
//! Its path ends in 128 random bits ([`ParameterPath`]), so that whoever may read one parameter by
//! name cannot guess another runner's.

mod path;
mod planned;
mod registered;
mod value;

pub use path::{ParameterPath, PathError};
pub use planned::PlannedRunner;
pub use registered::Registered;
pub use value::{EncodeError, Registration, RegistrationError, Secret, TokenRegistration};

//! `registration`: what the agent finds in its parameter.

use protocol::{Registration, Secret};

/// No registration inflates to more than this.
const LIMIT: usize = 400 * 1024;

/// The bytes are a parameter's value, and a configuration to be written into one.
pub fn registration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<Registration>() {
        Ok(Registration::Jit(config)) => assert!(config.expose().len() <= LIMIT),
        Ok(Registration::Token(token)) => written(&Registration::Token(token)),
        Err(error) => {
            // Logged by the agent. A short text may be part of the sentence by chance.
            let shown = error.to_string();
            assert!(text.len() < 16 || !shown.contains(text), "{shown}");
        }
    }
    written(&Registration::Jit(Secret::new(text)));
}

fn written(registration: &Registration) {
    let value = registration.encode().unwrap();
    assert_eq!(value.expose().parse().as_ref(), Ok(registration));
}

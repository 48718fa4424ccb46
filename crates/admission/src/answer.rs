//! What a webhook that is refused on purpose is answered.
//!
//! GitHub's list of deliveries shows an answer's status, not who gave it. Lambda answers by itself
//! before the function runs: 403 where it may not be invoked, 429 where it is throttled, 408, 502 to
//! 504 and others ([errors]). What was refused on purpose has to be told apart from that, because
//! everything else is delivered again. So these are statuses that Lambda's front door has no use
//! for: its 4xx for a caller without rights is 403, for a request without sense 400.
//!
//! [errors]: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors

/// GitHub did not sign the request.
pub const NOT_SIGNED: u16 = 401;
/// The body is too large. Lambda answers the same for the same reason, and the body will be as large
/// the next time.
pub const TOO_LARGE: u16 = 413;
/// GitHub signed what cannot be used.
pub const NOT_USABLE: u16 = 422;

/// The deployment is paused. Lambda answers no 423 itself; the delivery is asked for again afterwards.
pub const PAUSED: u16 = 423;

/// Whether a status says that a webhook was refused on purpose, and need not be delivered again.
pub const fn is_refusal(status: u16) -> bool {
    matches!(status, NOT_SIGNED | TOO_LARGE | NOT_USABLE)
}

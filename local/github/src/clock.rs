//! Time as GitHub writes it.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `2026-01-01T00:00:00Z`: whole seconds, UTC.
pub(crate) fn stamp(time: OffsetDateTime) -> String {
    time.replace_nanosecond(0)
        .unwrap_or(time)
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// The same for a time that may not have come yet; JSON null then.
pub(crate) fn stamp_or_null(time: Option<OffsetDateTime>) -> Option<String> {
    time.map(stamp)
}

/// The same with thousandths, as deliveries carry it.
pub(crate) fn fine_stamp(time: OffsetDateTime) -> String {
    let thousandths = time.millisecond();
    stamp(time).replace('Z', &format!(".{thousandths:03}Z"))
}

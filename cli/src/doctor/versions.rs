//! How old what is deployed is: its version against the command line's, and its functions. Pure.

use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;

use crate::finding::Finding;

/// Of this command line.
pub(super) const OURS: &str = env!("CARGO_PKG_VERSION");

/// Compares the version of the package that deployed with the command line's: what one writes, the
/// other reads.
pub(super) fn judge(deployed: Option<&str>, ours: &str) -> Finding {
    let Some(deployed) = deployed else {
        return Finding::note(
            "the deployment's version is not known: the stack has no output Version yet (cdk deploy)",
        );
    };
    if deployed == ours {
        return Finding::good(format!("deployment and command line have version {ours}"));
    }
    let text = format!("the deployment has version {deployed}, this command line {ours}");
    match (numbers(deployed), numbers(ours)) {
        (Some(theirs), Some(own)) if theirs > own => {
            Finding::bad(text, format!("take the command line of release {deployed}"))
        }
        _ => Finding::bad(
            text,
            format!("npm install fargate-runners@{ours} && npx cdk deploy"),
        ),
    }
}

/// What the stack's status tells of the last deployment; nothing if that went well.
pub(super) fn judge_stack(stack: &str, status: &str) -> Option<Finding> {
    let text = format!("stack {stack} is in {status}");
    if status.contains("FAILED") || status.contains("ROLLBACK") {
        let fix = format!(
            "aws cloudformation describe-stack-events --stack-name {stack}, which tells what failed; then cdk deploy"
        );
        return Some(Finding::bad(
            format!("{text}: the last change of it failed"),
            fix,
        ));
    }
    status
        .ends_with("IN_PROGRESS")
        .then(|| Finding::note(format!("{text}: it is being changed now")))
}

/// Major, minor and patch; what follows `-` or `+` does not count.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let core = version.split(['-', '+']).next()?;
    let parts: Vec<u64> = core
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    parts.try_into().ok()
}

/// How long ago a function was deployed, from Lambda's `LastModified`; in Lambda's words if they are in
/// another form.
pub(super) fn deployed_ago(last_modified: &str, now: OffsetDateTime) -> String {
    match OffsetDateTime::parse(last_modified, &Iso8601::PARSING) {
        Ok(at) => format!("deployed {} ago", crate::why::span(now - at)),
        Err(_) => format!("deployed at {last_modified}"),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::finding::Mark;

    #[test]
    fn the_older_of_two_versions_is_to_be_replaced() {
        let fix = |deployed, ours| judge(Some(deployed), ours).fix;
        assert_eq!(fix("0.1.0", "0.1.0"), None);
        let deploy = fix("0.9.0", "0.10.0").unwrap();
        assert_eq!(
            deploy,
            "npm install fargate-runners@0.10.0 && npx cdk deploy"
        );
        let take = fix("0.10.0", "0.9.0").unwrap();
        assert_eq!(take, "take the command line of release 0.10.0");
        assert!(fix("0.1.0-rc.1", "0.1.0").is_some());
        assert!(fix("what?", "0.1.0").is_some());
    }

    #[test]
    fn a_deployment_that_failed_is_told_with_where_to_look() {
        let mark = |status| judge_stack("runners", status).map(|finding| finding.mark);
        for status in ["", "CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"] {
            assert_eq!(mark(status), None, "{status}");
        }
        for status in [
            "UPDATE_ROLLBACK_COMPLETE",
            "UPDATE_FAILED",
            "UPDATE_ROLLBACK_IN_PROGRESS",
        ] {
            assert_eq!(mark(status), Some(Mark::Bad), "{status}");
        }
        assert_eq!(mark("UPDATE_IN_PROGRESS"), Some(Mark::Note));
        assert_eq!(
            mark("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
            Some(Mark::Note)
        );
    }

    #[test]
    fn a_stack_of_an_earlier_version_is_no_fault() {
        let finding = judge(None, OURS);
        assert_eq!(finding.mark, Mark::Note);
        assert!(finding.text.contains("cdk deploy"), "{}", finding.text);
    }

    // The example of https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html
    // says ISO 8601; the command line's documentation shows this form.
    #[test]
    fn lambdas_time_is_read() {
        let now = datetime!(2019-09-26 18:55:30 UTC);
        let ago = deployed_ago("2019-09-24T18:55:30.000+0000", now);
        assert_eq!(
            ago,
            format!("deployed {} ago", crate::why::span(time::Duration::days(2)))
        );
        assert_eq!(deployed_ago("yesterday", now), "deployed at yesterday");
    }
}

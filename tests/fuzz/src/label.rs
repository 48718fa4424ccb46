//! `labels`: what a job asks for and what a task definition offers.

use protocol::{Label, LabelSet};

/// The first line is the value of a `GH:labels` tag, each further line a label of a job.
pub fn labels(data: &[u8]) {
    let Some((offered, asked)) = crate::lines(data) else {
        return;
    };
    let offered = LabelSet::parse(offered);
    // No label of a list holds what separates labels, so what is printed reads back.
    assert_eq!(LabelSet::parse(&offered.to_string()), offered);

    let asked = LabelSet::new(asked.split('\n'));
    for label in offered.iter().chain(asked.iter()) {
        let text = label.as_str();
        assert!(!text.trim().is_empty());
        // A label that is read once more is the same: it was sent to GitHub and comes back.
        assert_eq!(Label::new(text).as_ref(), Ok(label), "{text:?}");
    }
    let json = serde_json::to_string(&asked).unwrap();
    assert_eq!(serde_json::from_str::<LabelSet>(&json).unwrap(), asked);

    let lacking = offered.lacking(&asked);
    assert_eq!(offered.carries(&asked), lacking.is_empty());
    assert!(asked.carries(&lacking));
    assert!(
        lacking
            .iter()
            .all(|label| !offered.iter().any(|l| l == label))
    );
    let both = LabelSet::new(offered.iter().chain(asked.iter()).map(Label::as_str));
    assert!(both.carries(&asked) && both.carries(&offered));
}

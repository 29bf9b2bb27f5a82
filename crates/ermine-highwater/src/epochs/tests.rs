use super::*;

fn holder(number: usize) -> HolderId {
    HolderId(format!("{number}/1").into())
}

fn holders(numbers: impl IntoIterator<Item = usize>) -> Vec<HolderId> {
    numbers.into_iter().map(holder).collect()
}

#[test]
fn epochs_that_wait_for_the_same_holders_are_one() {
    let mut epochs = Epochs::default();
    for last in 1..10 {
        assert_eq!(epochs.observe(Seq::new(last), &holders([1, 2])), Seq::ZERO);
    }
    assert_eq!(epochs.open.len(), 1);
    assert_eq!(epochs.observe(Seq::new(20), &holders([3])), Seq::new(9));
}

#[test]
fn the_number_of_epochs_is_bounded_and_the_mark_still_moves() {
    let mut epochs = Epochs::default();
    let mut settled = Seq::ZERO;
    for last in 1..200_u64 {
        let newest = usize::try_from(last).unwrap();
        settled = epochs.observe(Seq::new(last), &holders(newest.saturating_sub(40)..=newest));
        assert!(epochs.open.len() <= EPOCHS_MAX);
    }
    assert!(settled.get() > 100, "{settled}");
}

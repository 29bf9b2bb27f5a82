use async_trait::async_trait;
use ermine_core::{
    AppendBatch, Appended, Body, Error, ErrorKind, NewEvent, Operation, Position, Result, ViewPin,
    ports::EventAppender,
};

use super::{Flaw, Mutant, operations::short_of_digits, renew};
use crate::support::observe;

impl Mutant {
    /// What a batch becomes on its way to a flawed store.
    fn spoil(&self, mut batch: AppendBatch) -> AppendBatch {
        match self.flaw {
            Flaw::AppendsInReverse => batch.streams_mut().reverse(),
            Flaw::AcceptsAnIdTwice => batch.streams_mut().iter_mut().for_each(|s| renew(&mut s.events)),
            Flaw::CutsLargeBodies => batch.streams_mut().iter_mut().flat_map(|s| &mut s.events).for_each(cut),
            Flaw::KeepsFifteenDigits => {
                batch.streams_mut().iter_mut().flat_map(|s| &mut s.events).for_each(|new| {
                    let body = short_of_digits(new.body());
                    *new = NewEvent::new(new.type_name().clone(), body).with_id(new.id());
                });
            }
            Flaw::ForgetsStreamTypes => batch.streams_mut().iter_mut().for_each(|s| s.stream_type = None),
            Flaw::PinsAreNotChecked => return with(batch, |_| false),
            Flaw::PinsOfAbsentViewsAreNotChecked => return with(batch, |pin| pin.version.is_some()),
            _ => {}
        }
        batch
    }
}

/// The same batch with some of its pins.
fn with(batch: AppendBatch, keep: impl Fn(&ViewPin) -> bool) -> AppendBatch {
    let pins = batch.pins().iter().filter(|pin| keep(pin)).cloned().collect();
    let operations = batch.operations().to_vec();
    batch.with_operations(pins, operations)
}

fn cut(new: &mut NewEvent) {
    if new.body().len() > 1_000_000 {
        *new = NewEvent::new(new.type_name().clone(), Body::encode("too large").unwrap()).with_id(new.id());
    }
}

#[async_trait]
impl EventAppender for Mutant {
    async fn append(&self, batch: AppendBatch) -> Result<Appended> {
        let sent = batch.clone();
        let batch = self.spoil(batch);
        match self.flaw {
            Flaw::AppendsStreamByStream => {
                let mut versions = Vec::new();
                let mut last = Err(Error::fatal("no streams"));
                for stream in batch.streams() {
                    let one = self.inner.append(AppendBatch::new().stream(stream.clone())).await?;
                    versions.push(one.version());
                    last = Ok(one);
                }
                last.map(|last: Appended| Appended { versions, ..last })
            }
            Flaw::FailsBesideAnotherAppend => {
                self.alone().await?;
                self.inner.append(batch).await
            }
            Flaw::OperatesApartFromTheAppend => {
                self.operate_apart(batch.operations().to_vec()).await?;
                self.inner.append(batch.with_operations(Vec::new(), Vec::new())).await
            }
            Flaw::AppendsWhatItsOperationsAppend if has_append(&batch) => {
                let operations = batch.operations().to_vec();
                let appended = self.inner.append(batch.with_operations(Vec::new(), Vec::new())).await?;
                self.operate_apart(operations).await.map(|()| appended)
            }
            _ => self.answer(sent, self.inner.append(batch).await).await,
        }
    }
}

fn has_append(batch: &AppendBatch) -> bool {
    batch.operations().iter().any(|operation| matches!(operation, Operation::Append { .. }))
}

impl Mutant {
    /// What an answer becomes on its way back from a flawed store.
    async fn answer(&self, mut batch: AppendBatch, answer: Result<Appended>) -> Result<Appended> {
        if let Err(error) = &answer {
            match (self.flaw, error.kind()) {
                (Flaw::ConflictBurnsANumber, ErrorKind::VersionConflict(_))
                | (Flaw::ViewConflictBurnsANumber, ErrorKind::ViewConflict(_))
                | (Flaw::ArchivedBurnsANumber, ErrorKind::Archived { .. }) => self.burn().await?,
                (Flaw::AppendsWhatIsNotKnown, ErrorKind::PartlyKnown { .. }) => {
                    batch.streams_mut().iter_mut().for_each(|s| renew(&mut s.events));
                    return self.inner.append(batch).await;
                }
                _ => {}
            }
        }
        let mut appended = answer?;
        match self.flaw {
            Flaw::ForgetsThatItRepeats => {
                appended.position = Position::new(observe(&self.inner).await.highest_visible);
            }
            Flaw::AppendsInReverse => appended.versions.reverse(),
            Flaw::RepeatsItsOperations if appended.repeated => {
                self.operate_apart(batch.operations().to_vec()).await?;
            }
            _ => {}
        }
        Ok(appended)
    }
}

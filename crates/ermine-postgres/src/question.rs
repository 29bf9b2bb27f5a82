use std::time::{Duration, Instant};

/// After how long without an answer a session is suspected when whoever asked gives up.
pub(crate) const LONG: Duration = Duration::from_secs(1);

/// A question to the server that has not been answered.
///
/// A session behind a firewall that has forgotten it looks like one that takes long. Whoever waits for it has a deadline of
/// its own, which may be shorter than any here, and then only drops the future: that tells as much as a deadline of ours.
#[must_use = "dropping it says that there was no answer"]
pub(crate) struct Question<F: FnMut(Instant)> {
    asked: Instant,
    on_silence: Option<F>,
}

impl<F: FnMut(Instant)> Question<F> {
    /// Calls `on_silence` with the moment at which it was asked, when there is no answer for long.
    pub(crate) fn ask(on_silence: F) -> Self {
        Self { asked: Instant::now(), on_silence: Some(on_silence) }
    }

    /// The server has said something, be it an error.
    pub(crate) fn answered(mut self) {
        self.on_silence = None;
    }
}

impl<F: FnMut(Instant)> Drop for Question<F> {
    fn drop(&mut self) {
        if let Some(on_silence) = self.on_silence.as_mut().filter(|_| self.asked.elapsed() >= LONG) {
            on_silence(self.asked);
        }
    }
}

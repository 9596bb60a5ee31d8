//! One message to many subscriptions.

use futures_util::stream::{self, FuturesUnordered, Stream, StreamExt as _};

use super::{Pusher, Report};
use crate::message::Message;
use crate::subscription::Subscription;

impl Pusher {
    /// Pushes one message to each of `subscriptions`, `at_once` of them at a time. The stream yields each report with its
    /// subscription, in order of completion. A stream that is dropped before its end drops the pushes in flight.
    ///
    /// ```no_run
    /// use futures_util::StreamExt as _;
    /// use webpush::{Message, Outcome, Pusher, Subscription};
    ///
    /// # async fn example(pusher: &Pusher, subscriptions: Vec<Subscription>) {
    /// let message = Message::text("hello, all of you");
    /// let mut reports = std::pin::pin!(pusher.push_to_many(&subscriptions, &message, 200));
    /// while let Some((subscription, report)) = reports.next().await {
    ///     if *report.outcome() == Outcome::Gone {
    ///         println!("{subscription:?} no longer exists: delete it");
    ///     }
    /// }
    /// # }
    /// ```
    pub fn push_to_many<'a, I>(
        &'a self,
        subscriptions: I,
        message: &'a Message,
        at_once: usize,
    ) -> impl Stream<Item = (&'a Subscription, Report)> + 'a
    where
        I: IntoIterator<Item = &'a Subscription>,
        I::IntoIter: 'a,
    {
        // Not `map` and `buffer_unordered`: the compiler cannot prove that their stream is `Send` inside a task.
        let mut waiting = subscriptions.into_iter();
        let mut in_flight = FuturesUnordered::new();
        stream::poll_fn(move |context| {
            while in_flight.len() < at_once.max(1)
                && let Some(subscription) = waiting.next()
            {
                in_flight.push(self.push_beside(subscription, message));
            }
            in_flight.poll_next_unpin(context)
        })
    }

    async fn push_beside<'a>(
        &'a self,
        subscription: &'a Subscription,
        message: &'a Message,
    ) -> (&'a Subscription, Report) {
        (subscription, self.push(subscription, message).await)
    }
}

//! One message to many, in a program of one's own that keeps its subscriptions itself.

use futures_util::stream::{self, FuturesUnordered, Stream, StreamExt as _};

use super::{Pusher, Report};
use crate::{Message, Subscription};

impl Pusher {
    /// Pushes one message to each subscription, `at_once` at a time, and gives each report as it comes, beside its
    /// subscription. Connections and tokens are shared. What is dropped before its end is broken off.
    ///
    /// ```no_run
    /// use futures_util::StreamExt as _;
    /// use webpush::Pusher;
    /// use webpush::{Message, Outcome, Subscription};
    ///
    /// # async fn example(pusher: &Pusher, subscriptions: Vec<Subscription>) {
    /// let message = Message::text("hello, all of you");
    /// let mut reports = std::pin::pin!(pusher.push_to_many(&subscriptions, &message, 200));
    /// while let Some((subscription, report)) = reports.next().await {
    ///     if report.outcome == Outcome::Gone {
    ///         println!("{subscription:?} is no more");
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
        // By hand, where `map` and `buffer_unordered` give what is not known to be `Send` in a task.
        let mut waiting = subscriptions.into_iter();
        let mut under_way = FuturesUnordered::new();
        stream::poll_fn(move |context| {
            while under_way.len() < at_once.max(1)
                && let Some(subscription) = waiting.next()
            {
                under_way.push(self.push_beside(subscription, message));
            }
            under_way.poll_next_unpin(context)
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

//! A sequence made ahead by a thread, bounded, and the place up to which it was taken.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use super::Cursor;

/// What is handed out, each item with the cursor behind it. It is a function of the cursor at which it begins.
pub(super) trait Sequence: Iterator<Item = (Self::Of, Cursor)> + Clone + Send + 'static {
    /// What an item is.
    type Of: Send;

    /// The place of the next item.
    fn cursor(&self) -> Cursor;

    /// Goes on from another place.
    fn seek(&mut self, cursor: Cursor);
}

/// How far a thread may run ahead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    /// Items that travel together: a hand-over costs more than a small item.
    pub(super) chunk: usize,
    /// Chunks that may wait; the thread works on one more.
    pub(super) chunks: usize,
}

/// The items of a sequence. Its cursor is that of the item taken last, not of the item made last.
pub(super) struct Prefetched<S: Sequence> {
    sequence: S,
    ahead: Option<Receiver<Vec<S::Item>>>,
    ready: VecDeque<S::Item>,
    cursor: Cursor,
}

impl<S: Sequence> Prefetched<S> {
    /// Makes items on a thread that ends when this is dropped. Where the system has no thread to give they are made when asked
    /// for, as with [`Prefetched::inline`].
    pub(super) fn start(sequence: S, ahead: Ahead) -> Self {
        let mut made = sequence.clone();
        let (sender, receiver) = sync_channel(ahead.chunks);
        let thread = thread::Builder::new().name("examples".into()).spawn(move || {
            loop {
                let chunk: Vec<S::Item> = made.by_ref().take(ahead.chunk).collect();
                // Sending fails when the loader was dropped: nobody waits for more.
                if chunk.is_empty() || sender.send(chunk).is_err() {
                    return;
                }
            }
        });
        Prefetched { ahead: thread.is_ok().then_some(receiver), ..Self::inline(sequence) }
    }

    /// Makes each item when it is asked for.
    pub(super) fn inline(sequence: S) -> Self {
        Prefetched { cursor: sequence.cursor(), sequence, ahead: None, ready: VecDeque::new() }
    }

    /// The place behind the item that was taken last.
    pub(super) fn cursor(&self) -> Cursor {
        self.cursor
    }
}

impl<S: Sequence> Iterator for Prefetched<S> {
    type Item = S::Of;

    fn next(&mut self) -> Option<S::Of> {
        if self.ready.is_empty()
            && let Some(ahead) = &self.ahead
        {
            match ahead.recv() {
                Ok(chunk) => self.ready.extend(chunk),
                // The thread is gone: go on here. The items are the same.
                Err(_) => {
                    self.ahead = None;
                    self.sequence.seek(self.cursor);
                }
            }
        }
        let (item, cursor) = self.ready.pop_front().or_else(|| self.sequence.next())?;
        self.cursor = cursor;
        Some(item)
    }
}

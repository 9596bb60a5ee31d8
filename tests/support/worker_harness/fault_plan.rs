//! A worker that dies or fails at one of its steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The fate of a worker at a step. A step is a request to the database, the queue or the event bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepFault {
    /// The worker is killed before the step.
    Dies,
    /// The step is done, and the worker is killed before it learns that.
    DiesAfter,
    /// The step fails.
    Fails,
    /// The step is done, and the worker sees a failure.
    FailsAfter,
}

/// Counts a worker's steps, and lets the worker die or fail at one of them.
#[derive(Debug)]
pub(crate) struct FaultPlan {
    steps: AtomicUsize,
    fault: Option<(usize, StepFault)>,
    dead: AtomicBool,
    pub(super) died: Notify,
}

impl FaultPlan {
    /// The fault happens at this step, counted from 0.
    pub(crate) fn new(fault: Option<(usize, StepFault)>) -> Arc<Self> {
        Arc::new(Self {
            steps: AtomicUsize::new(0),
            fault,
            dead: AtomicBool::new(false),
            died: Notify::new(),
        })
    }

    /// Whether the fault has happened.
    pub(crate) fn happened(&self) -> bool {
        let steps = self.steps.load(Ordering::Relaxed);
        self.fault.is_some_and(|(at, _)| steps > at)
    }

    pub(super) fn step(&self) -> Option<StepFault> {
        if self.dead.load(Ordering::Relaxed) {
            return Some(StepFault::Dies);
        }
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        let (_, fault) = self.fault.filter(|(at, _)| *at == step)?;
        match fault {
            StepFault::Dies | StepFault::DiesAfter => {
                self.dead.store(true, Ordering::Relaxed);
                self.died.notify_one();
            }
            StepFault::Fails | StepFault::FailsAfter => {}
        }
        Some(fault)
    }
}

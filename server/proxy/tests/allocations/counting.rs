//! An allocator that counts what the threads that serve ask it for.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fs::File,
    io::Read,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

#[global_allocator]
static COUNTING: Counting = Counting;

static IS_ON: AtomicBool = AtomicBool::new(false);
static TIMES: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether the thread serves, once that was looked up.
    static SERVES: Cell<Option<bool>> = const { Cell::new(None) };
}

struct Counting;

// SAFETY: all is done by the system's own allocator; what is counted allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the caller's.
        unsafe { System.realloc(place, layout, size) }
    }
}

fn count(bytes: usize) {
    if IS_ON.load(Ordering::Relaxed) && SERVES.get().unwrap_or_else(look_up) {
        TIMES.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// By the name of the thread, as the system has it: that is read without any memory.
fn look_up() -> bool {
    let mut name = [0; 8];
    let read = File::open("/proc/thread-self/comm").and_then(|mut file| file.read(&mut name));
    let serves = read.is_ok_and(|length| name[..length].starts_with(b"core-"));
    SERVES.set(Some(serves));
    serves
}

/// How often memory was asked for, and for how many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Allocated {
    pub(crate) times: u64,
    pub(crate) bytes: u64,
}

/// What the threads that serve have asked for while this was done.
pub(crate) async fn allocated(work: impl Future<Output = ()>) -> Allocated {
    let now = || Allocated { times: TIMES.load(Ordering::SeqCst), bytes: BYTES.load(Ordering::SeqCst) };
    let before = now();
    IS_ON.store(true, Ordering::SeqCst);
    work.await;
    IS_ON.store(false, Ordering::SeqCst);
    let after = now();
    Allocated { times: after.times - before.times, bytes: after.bytes - before.bytes }
}

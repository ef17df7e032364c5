//! The hot path allocates nothing. A test binary of its own: the counter is the process's allocator.

use std::cell::Cell;

use fer_models::{Crops, GrayView, Preprocess, Rect, average_crops, softmax};

mod counting {
    #![expect(
        unsafe_code,
        reason = "an allocator that counts can only be written with it"
    )]

    use std::alloc::{GlobalAlloc, Layout, System};

    pub(super) struct Counting;

    // SAFETY: every call goes to the system allocator unchanged; counting touches a thread's cell only.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            super::ALLOCATIONS.with(|count| count.set(count.get() + 1));
            // SAFETY: the caller's layout, passed on.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: the pointer came from `alloc` above with this layout.
            unsafe { System.dealloc(pointer, layout) }
        }
    }
}

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

#[test]
fn a_face_becomes_input_and_scores_without_allocating() {
    let input = Preprocess::fer2013(3);
    let pixels = vec![128; 640 * 480];
    let mut tile = vec![0; 48 * 48];
    let mut tensor = vec![0.0; 10 * input.input_len()];
    let (mut logits, mut scores) = ([0.0; 7], [0.0; 7]);

    let before = ALLOCATIONS.with(Cell::get);
    let frame = GrayView::new(640, 480, 640, &pixels).unwrap();
    for (x, width) in [(100.0, 180.0), (-40.0, 900.0), (630.0, 20.0)] {
        let square = input.face_square(Rect {
            x,
            y: 10.5,
            width,
            height: width,
        });
        input.cut_tile(frame, square, &mut tile);
        input.write_input(&tile, Crops::Ten, &mut tensor);
        average_crops(&[0.5; 70], &mut logits);
        softmax(&logits, 1.5, &mut scores);
    }
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0);
}

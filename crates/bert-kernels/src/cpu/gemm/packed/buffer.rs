//! Memory for packed operands, kept from product to product.

use std::cell::Cell;

thread_local! {
    pub(super) static LEFT: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    pub(super) static RIGHT: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Memory that a thread keeps between products. It is taken out of its place, so that a product inside a task of
/// another one finds none and makes its own.
pub(super) struct Buffer {
    memory: Vec<f32>,
    offset: usize,
    length: usize,
}

impl Buffer {
    const ALIGNMENT: usize = 64;

    pub(super) fn take(place: &'static std::thread::LocalKey<Cell<Vec<f32>>>, length: usize) -> Self {
        let mut memory = place.take();
        let padded = length + Self::ALIGNMENT / size_of::<f32>();
        if memory.len() < padded {
            memory = vec![0.0; padded];
        }
        let offset = memory.as_ptr().align_offset(Self::ALIGNMENT).min(padded - length);
        Self { memory, offset, length }
    }

    pub(super) fn floats(&mut self) -> &mut [f32] {
        &mut self.memory[self.offset..self.offset + self.length]
    }

    pub(super) fn give_back(self, place: &'static std::thread::LocalKey<Cell<Vec<f32>>>) {
        place.set(self.memory);
    }
}

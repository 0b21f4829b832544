// The scheduler of host/emulation.h, and a table of all kernels. Built by the tests into a library with one entry: `emulate`.
#include "emulation.h"
#include <deque>
#include <setjmp.h>
#include <stdlib.h>
#include <ucontext.h>
#include <utility>
#include <vector>

#include "../all.cuh"

Index threadIdx, blockIdx, blockDim, gridDim;
constexpr unsigned SHARED_BYTES = 228 * 1024;
alignas(16) char emulated_shared_memory[SHARED_BYTES];

namespace {
constexpr size_t STACK = 96 * 1024;

struct Barrier {
    unsigned waiting = 0, generation = 0, members = 0;
};

/// Entered by a context switch once; after that by jumps, which make no system call.
struct Fiber {
    ucontext_t context;
    jmp_buf place;
    bool begun = false, done = false;
};

std::vector<Fiber> fibers;
std::vector<Barrier> warps;
Barrier block;
jmp_buf scheduler_place;
unsigned current;
char slots[1024][32];
unsigned slot_a[1024][4], slot_b[1024][2];
const void *addresses[1024];
struct Copy {
    void *to;
    const void *from;
};
/// Groups of copies of every thread, the last of them still open.
std::vector<std::deque<std::vector<Copy>>> copies;
void (*run_thread)(void **);
void **arguments;

void yield() {
    if (!_setjmp(fibers[current].place)) _longjmp(scheduler_place, 1);
}

void resume(Fiber &fiber) {
    if (_setjmp(scheduler_place)) return;
    if (fiber.begun) _longjmp(fiber.place, 1);
    fiber.begun = true;
    setcontext(&fiber.context);
}

void release(Barrier &barrier) {
    barrier.waiting = 0;
    ++barrier.generation;
}

void wait(Barrier &barrier) {
    unsigned generation = barrier.generation;
    if (++barrier.waiting == barrier.members) return release(barrier);
    while (generation == barrier.generation) yield();
}

/// A thread that has ended is waited for no longer.
void leave(Barrier &barrier) {
    --barrier.members;
    if (barrier.members > 0 && barrier.waiting == barrier.members) release(barrier);
}

void body() {
    run_thread(arguments);
    fibers[current].done = true;
    leave(warps[current / 32]);
    leave(block);
    yield();
}

void run_block(unsigned threads, std::vector<char> &stacks) {
    memset(emulated_shared_memory, 0xFF, SHARED_BYTES); // not a number: what nobody wrote must not be read
    fibers.assign(threads, Fiber());
    warps.assign((threads + 31) / 32, Barrier());
    copies.assign(threads, {{}});
    block = Barrier();
    block.members = threads;
    for (unsigned i = 0; i < threads; ++i) {
        ++warps[i / 32].members;
        getcontext(&fibers[i].context);
        fibers[i].context.uc_stack.ss_sp = stacks.data() + i * STACK;
        fibers[i].context.uc_stack.ss_size = STACK;
        fibers[i].context.uc_link = nullptr;
        makecontext(&fibers[i].context, body, 0);
    }
    for (unsigned left = threads; left > 0;) {
        left = 0;
        // From the last to the first: an order that forgets barriers must not look right by chance.
        for (unsigned i = threads; i-- > 0;) {
            if (fibers[i].done) continue;
            current = i;
            threadIdx = {i, 0, 0};
            resume(fibers[i]);
        }
        for (const Fiber &fiber : fibers) left += !fiber.done;
    }
}

template <typename... A, size_t... I> void spread(void (*kernel)(A...), void **a, std::index_sequence<I...>) {
    kernel(*static_cast<A *>(a[I])...);
}
template <auto kernel, typename... A> void call(void **a, void (*)(A...)) {
    spread<A...>(kernel, a, std::index_sequence_for<A...>());
}
template <auto kernel> void entry(void **a) { call<kernel>(a, kernel); }

struct Entry {
    const char *name;
    void (*run)(void **);
};
#define ENTRY(name) {#name, entry<name>},
const Entry ENTRIES[] = {ALL_KERNELS(ENTRY)};
} // namespace

void __syncthreads() { wait(block); }
void __syncwarp() { wait(warps[current / 32]); }

void exchange(const void *mine, void *theirs, unsigned bytes, unsigned source) {
    memcpy(slots[current], mine, bytes);
    __syncwarp();
    memcpy(theirs, slots[current / 32 * 32 + source], bytes);
    __syncwarp();
}

unsigned __ballot_sync(unsigned, unsigned predicate) {
    slot_a[current][0] = predicate != 0;
    __syncwarp();
    unsigned bits = 0;
    for (unsigned lane = 0; lane < 32; ++lane) bits |= slot_a[current / 32 * 32 + lane][0] << lane;
    __syncwarp();
    return bits;
}

void exchange_fragments(const unsigned *a, const unsigned *b, unsigned (*all_a)[4], unsigned (*all_b)[2]) {
    memcpy(slot_a[current], a, sizeof slot_a[0]);
    memcpy(slot_b[current], b, sizeof slot_b[0]);
    __syncwarp();
    memcpy(all_a, slot_a[current / 32 * 32], sizeof(unsigned) * 32 * 4);
    memcpy(all_b, slot_b[current / 32 * 32], sizeof(unsigned) * 32 * 2);
    __syncwarp();
}

void exchange_addresses(const void *mine, const void **all) {
    addresses[current] = mine;
    __syncwarp();
    memcpy(all, addresses + current / 32 * 32, sizeof(void *) * 32);
    __syncwarp();
}

void emulate_copy(void *to, const void *from) {
    if (reinterpret_cast<size_t>(to) % 16 || reinterpret_cast<size_t>(from) % 16) abort(); // as a device would
    copies[current].back().push_back({to, from});
}

void emulate_commit() { copies[current].emplace_back(); }

void emulate_wait(unsigned left) {
    for (auto &groups = copies[current]; groups.size() > left + 1; groups.pop_front()) {
        for (const Copy &copy : groups.front()) {
            if (copy.from) {
                memcpy(copy.to, copy.from, 16);
            } else {
                memset(copy.to, 0, 16);
            }
        }
    }
}

/// Runs a kernel over its whole grid. 0: done; 1: there is no such kernel; 2: the launch is beyond what a device takes.
extern "C" int emulate(const char *name, const unsigned *grid, unsigned threads, unsigned shared, void **args) {
    if (threads == 0 || threads > 1024 || shared > SHARED_BYTES || !grid[0] || !grid[1] || grid[1] > 65535) return 2;
    run_thread = nullptr;
    for (const Entry &entry : ENTRIES) {
        if (!strcmp(entry.name, name)) run_thread = entry.run;
    }
    if (!run_thread) return 1;
    arguments = args;
    gridDim = {grid[0], grid[1], 1};
    blockDim = {threads, 1, 1};
    std::vector<char> stacks(threads * STACK);
    for (unsigned y = 0; y < grid[1]; ++y) {
        for (unsigned x = 0; x < grid[0]; ++x) {
            blockIdx = {x, y, 0};
            run_block(threads, stacks);
        }
    }
    return 0;
}

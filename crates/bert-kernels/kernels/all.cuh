// All kernels in one unit, and their names: for tests on the CPU (host/emulation.cpp).
#pragma once
#include "activation.cu"
#include "attention.cu"
#include "attention_tensor.cu"
#include "dropout.cu"
#include "embedding.cu"
#include "linear.cu"
#include "loss.cu"
#include "norm.cu"
#include "optim.cu"

#define HALF_TYPES(X, NAME) X(NAME##_bf16) X(NAME##_f16)
#define ALL_TYPES(X, NAME) X(NAME##_f32) HALF_TYPES(X, NAME)
#define ALL_HEADS(X, NAME)                                                                                          \
    HALF_TYPES(X, NAME##_32) HALF_TYPES(X, NAME##_64) HALF_TYPES(X, NAME##_96) HALF_TYPES(X, NAME##_128)
#define ALL_KERNELS(X)                                                                                              \
    ALL_TYPES(X, activation_forward)                                                                                \
    ALL_TYPES(X, activation_backward)                                                                               \
    ALL_TYPES(X, attention_forward)                                                                                 \
    ALL_TYPES(X, attention_backward_queries)                                                                        \
    ALL_TYPES(X, attention_backward_memory)                                                                         \
    ALL_HEADS(X, attention_tensor_forward)                                                                          \
    ALL_HEADS(X, attention_tensor_backward_queries)                                                                 \
    ALL_HEADS(X, attention_tensor_backward_memory)                                                                  \
    ALL_TYPES(X, dropout)                                                                                           \
    ALL_TYPES(X, embedding_forward)                                                                                 \
    ALL_TYPES(X, embedding_backward)                                                                                \
    X(embedding_combine)                                                                                            \
    ALL_TYPES(X, gather)                                                                                            \
    ALL_TYPES(X, scatter_add)                                                                                       \
    ALL_TYPES(X, add_bias)                                                                                          \
    ALL_TYPES(X, column_sums)                                                                                       \
    ALL_TYPES(X, add_scaled)                                                                                        \
    X(add_partials)                                                                                                 \
    ALL_TYPES(X, cross_entropy)                                                                                     \
    ALL_TYPES(X, scale)                                                                                             \
    X(sum_losses)                                                                                                   \
    ALL_TYPES(X, norm_forward)                                                                                      \
    ALL_TYPES(X, norm_backward)                                                                                     \
    X(squares)                                                                                                      \
    X(sum_doubles)                                                                                                  \
    X(adamw)                                                                                                        \
    X(lamb_update)                                                                                                  \
    X(lamb_apply)

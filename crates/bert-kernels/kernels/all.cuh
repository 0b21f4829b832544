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

#define ALL_HEADS(X, NAME) X(NAME##_32) X(NAME##_64) X(NAME##_96) X(NAME##_128)
#define BOTH_TYPES(X, NAME) X(NAME##_f32) X(NAME##_bf16)
#define ALL_KERNELS(X)                                                                                              \
    BOTH_TYPES(X, activation_forward)                                                                               \
    BOTH_TYPES(X, activation_backward)                                                                              \
    BOTH_TYPES(X, attention_forward)                                                                                \
    BOTH_TYPES(X, attention_backward_queries)                                                                       \
    BOTH_TYPES(X, attention_backward_memory)                                                                        \
    ALL_HEADS(X, attention_tensor_forward)                                                                          \
    ALL_HEADS(X, attention_tensor_backward_queries)                                                                 \
    ALL_HEADS(X, attention_tensor_backward_memory)                                                                  \
    BOTH_TYPES(X, dropout)                                                                                          \
    BOTH_TYPES(X, embedding_forward)                                                                                \
    BOTH_TYPES(X, embedding_backward)                                                                               \
    X(embedding_combine)                                                                                            \
    BOTH_TYPES(X, gather)                                                                                           \
    BOTH_TYPES(X, scatter_add)                                                                                      \
    BOTH_TYPES(X, add_bias)                                                                                         \
    BOTH_TYPES(X, column_sums)                                                                                      \
    X(add_partials)                                                                                                 \
    BOTH_TYPES(X, cross_entropy)                                                                                    \
    X(sum_losses)                                                                                                   \
    BOTH_TYPES(X, norm_forward)                                                                                     \
    BOTH_TYPES(X, norm_backward)                                                                                    \
    X(squares)                                                                                                      \
    X(sum_doubles)                                                                                                  \
    X(adamw)                                                                                                        \
    X(lamb_update)                                                                                                  \
    X(lamb_apply)

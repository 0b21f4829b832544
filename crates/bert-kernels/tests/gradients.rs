//! Each operation: its reference form against finite differences in f64, its fast form against the reference,
//! forward and backward, values of parameters included.
#![allow(clippy::unwrap_used)]

use bert_kernels::embedding::{Lookup, embedding, select_rows};
use bert_kernels::norm::{LayerNorm, layer_norm};
use bert_kernels::{
    Activation, Dropout, Parameter, Selection, Spans, activation, attention, dropout, linear, loss, node, norm,
};
use candle_core::{DType, Device, Result, Tensor, Var};

/// An operation on x [T, width] with parameters; the tests differentiate sum(output * fixed weights).
struct Case<'a> {
    x: (usize, usize),
    parameters: Vec<(&'static str, Vec<usize>)>,
    run: &'a dyn Fn(&Tensor, &[Parameter]) -> Result<Tensor>,
}

/// Reproducible values in [-1, 1] without a generator's state.
fn values(n: usize, salt: usize) -> Vec<f64> {
    (0..n)
        .map(|i| ((i * 7 + salt * 131 + 3) as f64 * 0.7).sin() * 0.9 + ((i + salt) as f64 * 1.3).cos() * 0.1)
        .collect()
}

fn tensor(shape: &[usize], salt: usize, dtype: DType) -> Result<Tensor> {
    Tensor::from_vec(values(shape.iter().product(), salt), shape, &Device::Cpu)?.to_dtype(dtype)
}

fn parameters(case: &Case, dtype: DType) -> Result<Vec<Parameter>> {
    let all = case.parameters.iter().enumerate();
    all.map(|(i, (name, shape))| Parameter::new(*name, &tensor(shape, i + 1, dtype)?)).collect()
}

fn objective(y: &Tensor) -> Result<Tensor> {
    (y * tensor(y.dims(), 77, y.dtype())?)?.sum_all()
}

/// The objective and the gradients of x and of every parameter.
fn gradients(case: &Case, dtype: DType) -> Result<(f64, Vec<Vec<f64>>)> {
    let x = Var::from_tensor(&tensor(&[case.x.0, case.x.1], 0, dtype)?)?;
    let parameters = parameters(case, dtype)?;
    let y = objective(&(case.run)(x.as_tensor(), &parameters)?)?;
    let grads = y.backward()?;
    let flat = |t: &Tensor| t.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>();
    let mut all = vec![match grads.get(&x) {
        Some(grad) => flat(grad)?,
        None => vec![0.0; x.elem_count()],
    }];
    for parameter in &parameters {
        if let Some(grad) = grads.get(parameter.value()) {
            parameter.add_grad(grad)?;
        }
        all.push(flat(&parameter.grad())?);
    }
    Ok((y.to_dtype(DType::F64)?.to_scalar::<f64>()?, all))
}

fn check(name: &str, case: &Case) -> Result<()> {
    let (value, exact) = gradients(case, DType::F64)?;
    // Central differences of the f64 reference form, entry by entry.
    let step = 1e-5;
    for (which, gradient) in exact.iter().enumerate() {
        for (entry, &analytic) in gradient.iter().enumerate() {
            let moved = |by: f64| -> Result<f64> {
                let (mut x, params) = (tensor(&[case.x.0, case.x.1], 0, DType::F64)?, parameters(case, DType::F64)?);
                let shift = |t: &Tensor| -> Result<Tensor> {
                    let mut flat = t.flatten_all()?.to_vec1::<f64>()?;
                    flat[entry] += by;
                    Tensor::from_vec(flat, t.shape(), &Device::Cpu)
                };
                match which {
                    0 => x = shift(&x)?,
                    i => params[i - 1].set(&shift(params[i - 1].value())?)?,
                }
                objective(&(case.run)(&x, &params)?)?.to_scalar::<f64>()
            };
            let numeric = (moved(step)? - moved(-step)?) / (2.0 * step);
            let error = (numeric - analytic).abs() / (1.0 + analytic.abs());
            assert!(error < 2e-6, "{name}: argument {which}, entry {entry}: analytic {analytic}, numeric {numeric}");
        }
    }
    let (fast_value, fast) = gradients(case, DType::F32)?;
    assert!((fast_value - value).abs() < 1e-4 * (1.0 + value.abs()), "{name}: value {fast_value} not {value}");
    for (which, (fast, exact)) in fast.iter().zip(&exact).enumerate() {
        let scale = exact.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
        for (entry, (f, e)) in fast.iter().zip(exact).enumerate() {
            assert!((f - e).abs() < 2e-5 * scale, "{name}: argument {which}, entry {entry}: fast {f}, exact {e}");
        }
    }
    Ok(())
}

#[test]
fn linear_layer() -> Result<()> {
    for (rows, inputs, outputs) in [(1, 1, 1), (5, 7, 3), (18, 33, 5)] {
        check(
            "linear",
            &Case {
                x: (rows, inputs),
                parameters: vec![("weight", vec![outputs, inputs]), ("bias", vec![outputs])],
                run: &|x, p| linear::linear(x, &p[0], &p[1]),
            },
        )?;
    }
    Ok(())
}

#[test]
fn layer_norm_without_residual() -> Result<()> {
    for (rows, width) in [(3, 5), (37, 34)] {
        let case = Case {
            x: (rows, width),
            parameters: vec![("weight", vec![width]), ("bias", vec![width])],
            run: &|x, p| layer_norm(x, &LayerNorm { weight: p[0].clone(), bias: p[1].clone(), epsilon: 1e-12 }),
        };
        check("layer norm", &case)?;
    }
    Ok(())
}

#[test]
fn dropout_of_a_matrix() -> Result<()> {
    for mask in [None, Dropout::new(0.3, 1, 2, 3)] {
        check("dropout", &Case { x: (18, 150), parameters: vec![], run: &|x, _| dropout::dropout(&(x * 2.0)?, mask) })?;
    }
    Ok(())
}

/// The residual is the second operand; here it is a fixed function of x, so that its gradient counts too.
#[test]
fn layer_norm_with_residual() -> Result<()> {
    let dropout = Dropout::new(0.2, 5, 6, 7);
    check(
        "residual",
        &Case {
            x: (19, 12),
            parameters: vec![("weight", vec![12]), ("bias", vec![12])],
            run: &|x, p| {
                let norm = LayerNorm { weight: p[0].clone(), bias: p[1].clone(), epsilon: 1e-12 };
                if x.dtype() == DType::F64 {
                    return norm::reference(x, Some(&(x * 3.0)?), &norm, dropout);
                }
                let residual = (x.detach() * 3.0)?;
                let (y, saved) = norm::forward(&x.detach(), Some(&residual), &norm, dropout)?;
                node::join(x, y, move |dy| {
                    let grads = norm::backward(dy, &saved, &norm, dropout, None)?;
                    Ok(Some((grads.x + (grads.residual * 3.0)?)?))
                })
            },
        },
    )
}

#[test]
fn activations() -> Result<()> {
    for kind in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
        // Candle differentiates its erf with six-digit constants: 2e-6 is what it can be held to here; the
        // fast form is compared with exact mathematics in `gelu_slope_is_exact`.
        check(
            "activation",
            &Case { x: (4, 9), parameters: vec![], run: &|x, _| activation::activation(&(x * 2.0)?, kind) },
        )?;
    }
    Ok(())
}

#[test]
fn gelu_slope_is_exact() -> Result<()> {
    let x: Vec<f32> = (-600..=600).map(|i| i as f32 * 0.01).collect();
    let input = Tensor::new(x.as_slice(), &Device::Cpu)?;
    let slope = activation::backward(&input, &input.ones_like()?, Activation::Gelu)?.to_vec1::<f32>()?;
    for (x, slope) in x.iter().map(|&x| f64::from(x)).zip(slope) {
        // The derivative of x Phi(x) by central differences of the f64 error function.
        let gelu = |x: f64| 0.5 * x * (1.0 + candle_core::cpu::erf::erf_f64(x / std::f64::consts::SQRT_2));
        let exact = (gelu(x + 1e-5) - gelu(x - 1e-5)) / 2e-5;
        assert!((f64::from(slope) - exact).abs() < 1e-6, "x {x}: {slope} not {exact}");
    }
    Ok(())
}

#[test]
fn attention_packed_padded_and_dropped() -> Result<()> {
    let layouts = [Spans::packed([1]), Spans::packed([3, 5, 1]), Spans::packed([4, 0, 2]), Spans::padded(&[2, 4], 5)?];
    for spans in layouts {
        for dropout in [None, Dropout::new(0.25, 11, 12, 13)] {
            check(
                "attention",
                &Case {
                    x: (spans.rows(), 3 * 6),
                    parameters: vec![],
                    run: &|x, _| attention::attention(&(x * 1.5)?, &spans, 2, dropout),
                },
            )?;
        }
    }
    Ok(())
}

/// Some rows ask, all answer; one sequence asks nothing, one is padded, one is longer than a block of queries.
#[test]
fn attention_of_a_selection() -> Result<()> {
    let long = (4..900).step_by(2).map(|row| row as u32).collect::<Vec<_>>();
    for (spans, rows) in [
        (Spans::packed([3, 5, 1, 2]), vec![0, 2, 4, 7, 8]),
        (Spans::padded(&[2, 4], 5)?, vec![1, 5, 6, 8]),
        (Spans::packed([4, 897]), long),
    ] {
        let selection = Selection::new(&spans, rows)?;
        for dropout in [None, Dropout::new(0.25, 11, 12, 13)] {
            let all = |x: &Tensor| {
                let y = attention::reference(x, &spans, 2, dropout)?;
                y.index_select(&Tensor::new(selection.rows(), &Device::Cpu)?, 0)
            };
            let selected = |x: &Tensor| -> Result<Tensor> {
                let rows = Tensor::new(selection.rows(), &Device::Cpu)?;
                let queries = x.detach().narrow(1, 0, 6)?.contiguous()?.index_select(&rows, 0)?;
                let memory = x.detach().narrow(1, 6, 12)?.contiguous()?;
                let (y, saved) = attention::forward_at(&queries, &memory, &spans, &selection, 2, dropout)?;
                let shape = (spans.rows(), 6);
                node::join(x, y, move |dy| {
                    let (d_queries, d_memory) = attention::backward_at(&saved, dy)?;
                    let d_queries = Tensor::zeros(shape, DType::F32, &Device::Cpu)?.index_add(&rows, &d_queries, 0)?;
                    Tensor::cat(&[d_queries, d_memory], 1).map(Some)
                })
            };
            let run = |x: &Tensor| if x.dtype() == DType::F64 { all(x) } else { selected(x) };
            let case = Case { x: (spans.rows(), 18), parameters: vec![], run: &|x, _| run(&(x * 1.5)?) };
            let (value, exact) = gradients(&case, DType::F64)?;
            let (fast_value, fast) = gradients(&case, DType::F32)?;
            assert!((value - fast_value).abs() < 1e-4 * (1.0 + value.abs()), "{fast_value} not {value}");
            let scale = exact[0].iter().fold(0f64, |m, v| m.max(v.abs()));
            for (entry, (f, e)) in fast[0].iter().zip(&exact[0]).enumerate() {
                assert!((f - e).abs() < 2e-5 * scale, "entry {entry}: fast {f}, exact {e}");
            }
        }
    }
    let spans = Spans::padded(&[2, 4], 5)?;
    let message = |rows: Vec<u32>| Selection::new(&spans, rows).unwrap_err().to_string();
    assert!(message(vec![0, 3]).contains("row 3 belongs to no sequence"));
    assert!(message(vec![1, 1]).contains("row 1 is followed by 1"));
    Ok(())
}

/// Longer than one block of queries, and not a multiple of anything.
#[test]
fn long_attention_against_reference() -> Result<()> {
    let spans = Spans::packed([601, 300, 1]);
    let dropout = Dropout::new(0.1, 1, 1, 1);
    let x = tensor(&[spans.rows(), 3 * 8], 1, DType::F32)?;
    let run = |op: &dyn Fn(&Tensor) -> Result<Tensor>| -> Result<(Tensor, Tensor)> {
        let x = Var::from_tensor(&x)?;
        let y = op(x.as_tensor())?;
        let grads = objective(&y)?.backward()?;
        Ok((y, grads.get(&x).unwrap().clone()))
    };
    let fast = run(&|x| attention::attention(x, &spans, 2, dropout))?;
    let slow = run(&|x| attention::reference(x, &spans, 2, dropout))?;
    for (f, s) in [(fast.0, slow.0), (fast.1, slow.1)] {
        let difference = (f - &s)?.abs()?.max_all()?.to_scalar::<f32>()?;
        let scale = s.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(difference < 1e-5 * scale, "{difference} of {scale}");
    }
    Ok(())
}

/// The same sequences packed and padded give the same rows.
#[test]
fn packed_equals_padded() -> Result<()> {
    let lengths = [3usize, 6, 1];
    let packed = tensor(&[10, 12], 3, DType::F32)?;
    let (mut rows, mut start) = (vec![], 0u32);
    for length in lengths {
        rows.extend((0..7u32).map(|i| if (i as usize) < length { start + i } else { 0 }));
        start += length as u32;
    }
    let padded = packed.index_select(&Tensor::new(rows, &Device::Cpu)?, 0)?;
    let y = attention::attention(&packed, &Spans::packed(lengths), 2, None)?.to_vec2::<f32>()?;
    let z = attention::attention(&padded, &Spans::padded(&lengths, 7)?, 2, None)?.to_vec2::<f32>()?;
    let mut row = 0;
    for (i, length) in lengths.into_iter().enumerate() {
        for j in 0..7 {
            if j < length {
                assert_eq!(y[row], z[i * 7 + j]);
                row += 1;
            } else {
                assert!(z[i * 7 + j].iter().all(|&v| v == 0.0), "padding is zero");
            }
        }
    }
    Ok(())
}

#[test]
fn cross_entropy_with_its_projection() -> Result<()> {
    for (rows, hidden, classes) in [(1, 3, 2), (7, 6, 11), (20, 5, 1030)] {
        let labels: Vec<u32> = (0..rows).map(|i| (i * 5 % classes) as u32).collect();
        check(
            "cross-entropy",
            &Case {
                x: (rows, hidden),
                parameters: vec![("weight", vec![classes, hidden]), ("bias", vec![classes])],
                run: &|x, p| Ok(loss::cross_entropy(x, &p[0], &p[1], &labels)?.sum),
            },
        )?;
        let x = tensor(&[rows, hidden], 5, DType::F32)?;
        let p = [
            Parameter::new("weight", &tensor(&[classes, hidden], 6, DType::F32)?)?,
            Parameter::new("bias", &tensor(&[classes], 7, DType::F32)?)?,
        ];
        let predicted = linear::forward(&x, &p[0], &p[1])?.argmax(1)?.to_vec1::<u32>()?;
        let right = predicted.iter().zip(&labels).filter(|(a, b)| a == b).count();
        for (labels, right) in [(&labels, right), (&predicted, rows)] {
            for loss in [loss::cross_entropy, loss::reference] {
                let hits = loss(&x, &p[0], &p[1], labels)?.correct;
                assert_eq!(hits.to_scalar::<f32>()?, right as f32);
            }
        }
    }
    Ok(())
}

#[test]
fn embedding_sum_and_selection() -> Result<()> {
    let (words, types) = ([3u32, 0, 3, 3, 1], [0u32, 1, 1, 0, 0]);
    check(
        "embedding",
        &Case {
            x: (1, 1),
            parameters: vec![("words", vec![4, 130]), ("types", vec![2, 130])],
            run: &|_, p| embedding(&[Lookup { table: &p[0], ids: &words }, Lookup { table: &p[1], ids: &types }]),
        },
    )?;
    check("selection", &Case { x: (4, 9), parameters: vec![], run: &|x, _| select_rows(x, &[2, 0, 2, 2]) })
}

#[test]
fn wrong_arguments_are_errors() -> Result<()> {
    let x = tensor(&[4, 6], 0, DType::F32)?;
    let table = Parameter::new("words", &x)?;
    let bias = Parameter::new("bias", &tensor(&[4], 0, DType::F32)?)?;
    let message = |r: Result<Tensor>| r.unwrap_err().to_string();
    assert!(message(embedding(&[Lookup { table: &table, ids: &[4] }])).contains("id 4 in a table of 4 rows (words)"));
    assert!(message(select_rows(&x, &[0, 4])).contains("row 4 of 4"));
    assert!(message(attention::attention(&x, &Spans::packed([4]), 4, None)).contains("4 heads"));
    assert!(message(attention::attention(&x, &Spans::packed([3]), 2, None)).contains("spans are for 3"));
    let loss = |labels: &[u32]| loss::cross_entropy(&x, &table, &bias, labels).map(|l| l.sum);
    assert!(message(loss(&[0, 1, 2, 4])).contains("label 4 with 4 classes"));
    assert!(message(loss(&[0])).contains("1 labels for 4 rows"));
    assert!(Spans::padded(&[3], 2).is_err());
    Ok(())
}

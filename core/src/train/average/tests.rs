use super::*;
use crate::infer::device::cpu;
use crate::train::samples::{config, loaded};
use crate::train::validation::validate;
use crate::train::{Cohort, Trainer, TrainingConfig};

fn plain(values: &Tensor<1>) -> Vec<f32> {
    values.to_data().try_to_vec().unwrap()
}

fn weight(network: &AttentionAnatomy) -> Vec<f32> {
    let mut seen = Average::default();
    seen.update(network, 0.0);
    plain(&seen.values.into_iter().find(|(path, _)| path.ends_with("weight")).unwrap().1)
}

fn with(average: Option<f64>) -> TrainingConfig {
    TrainingConfig { average, ..config() }
}

#[test]
fn it_is_what_its_formula_says() {
    let device = cpu().burn;
    let networks = [3, 4, 5].map(|seed| Trainer::new(TrainingConfig { seed, ..config() }, &device).network());
    let mut average = Average::default();
    networks.iter().for_each(|network| average.update(network, 0.15));
    let [a, b, c] = networks.each_ref().map(weight);
    let path = average.values.keys().find(|path| path.ends_with("weight")).unwrap().clone();
    // The second step keeps 2/11 where 0.15 is less.
    for (n, found) in plain(&average.values[&path]).into_iter().enumerate() {
        let expected = 0.15 * (0.15 * a[n] + 0.85 * b[n]) + 0.85 * c[n];
        assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
    }
    let mut young = Average::default();
    networks[..2].iter().for_each(|network| young.update(network, 0.999));
    let first = plain(&young.values[&path])[0];
    assert!((first - (2.0 * a[0] + 9.0 * b[0]) / 11.0).abs() < 1e-6, "{first}");
}

#[test]
fn one_that_keeps_nothing_is_the_trained_network_with_statistics_of_its_own() {
    let config = with(Some(0.0));
    let data = loaded(&config);
    let cohort = Cohort::new(config.clone(), &data.patients).unwrap();
    let mut trainer = Trainer::new(config.clone(), &cpu().burn);
    for step in 0..config.total_steps() {
        trainer.step(&cohort.batch(step)).unwrap();
    }
    let more = || (config.total_steps()..).take(60).map(|step| cohort.batch(step));
    let averaged = pollster::block_on(trainer.averaged(more())).unwrap().unwrap();
    assert_eq!(weight(&averaged), weight(&trainer.network()));
    let statistics = |network: &AttentionAnatomy| {
        let mut seen = Average::default();
        seen.update(network, 0.0);
        let means = seen.values.into_iter().filter(|(path, _)| path.contains("running_mean"));
        means.map(|(path, values)| (path, plain(&values))).collect::<Vec<_>>()
    };
    let (own, trained) = (statistics(&averaged), statistics(&trainer.network()));
    assert!(!own.is_empty() && own != trained, "four steps cannot have settled them");
    // They no longer know where they began.
    let again = pollster::block_on(trainer.averaged(more().chain(more()))).unwrap().unwrap();
    for ((path, a), (_, b)) in own.iter().zip(&statistics(&again)) {
        let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 0.05, "{path}: {apart}");
    }
    let found = pollster::block_on(validate(
        None,
        &averaged,
        &data.patients.validation,
        &config.input(),
        cohort.trained(),
        4,
        &cpu().burn,
    ));
    assert!(found.is_ok());
}

#[test]
fn none_is_made_unless_asked_for_and_those_of_another_network_are_refused() {
    let trainer = Trainer::new(with(None), &cpu().burn);
    assert!(pollster::block_on(trainer.averaged([])).unwrap().is_none());
    let mut average = Average::default();
    average.update(&trainer.network(), 0.5);
    let mut other = config();
    other.network.base = 8;
    let refused = average.applied(Trainer::new(other, &cpu().burn).network()).unwrap_err().to_string();
    assert!(refused.contains("moving average"), "{refused}");
}

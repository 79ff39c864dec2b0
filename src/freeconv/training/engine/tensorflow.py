"""The compiled loops in TensorFlow: a graph of operations, each with the library's own kernel.

XLA does not compile the graph. On a CPU it makes an epoch slower, that of an ordinary network 25
times (oneDNN's convolutions are lost); on a GPU its gain was not measured.
"""

from contextlib import contextmanager

import tensorflow as tf

from freeconv.training.engine.base import BaseEvaluator, BaseTrainer

# AutoGraph turns the two loops over batches into loops of the graph. Within a batch there is
# nothing for it to turn, and to look for it there would take a good second of every job.
traced_as_it_is = tf.autograph.experimental.do_not_convert


class Trainer(BaseTrainer):
    """`BaseTrainer` in TensorFlow."""

    def __init__(self, model, **arguments):
        super().__init__(model, **arguments)
        self._optimizer = FusedAdam(model.trainable_variables, self._learning_rate)

    @tf.function(reduce_retracing=True)  # parts of an epoch differ in length
    def _epoch(self, images, labels, order):
        steps = -(-tf.size(order) // self._batch_size)
        loss, correct = tf.constant(0.0), tf.constant(0)
        for step in tf.range(steps):
            batch = order[step * self._batch_size : (step + 1) * self._batch_size]
            step_loss, step_correct = self._step(tf.gather(images, batch), tf.gather(labels, batch))
            # In units of a whole batch.
            loss += step_loss * self._share_of_batch(tf.size(batch))
            correct += step_correct
        seen = tf.size(order)
        return loss / self._share_of_batch(seen), correct / seen

    def _share_of_batch(self, images):
        return tf.cast(images, tf.float32) / self._batch_size

    def _adam_state(self):
        return [variable.read_value() for variable in self._optimizer.variables]

    def _steps_done(self):
        return int(self._optimizer.variables[0].numpy())

    def _restore_adam(self, state):
        for variable, value in zip(self._optimizer.variables, state, strict=True):
            variable.assign(value)

    @traced_as_it_is
    def _step(self, images, labels):
        images = self._seen(images)
        with tf.GradientTape() as tape:
            total, loss, correct = self._outcome(images, labels)
        self._optimizer.apply(tape.gradient(total, self._model.trainable_variables))
        return loss, correct


class Evaluator(BaseEvaluator):
    """`BaseEvaluator` in TensorFlow."""

    @tf.function
    def _measure(self, images, labels):
        count = tf.shape(images)[0]
        batches = -(-count // self._batch_size)
        predictions = tf.TensorArray(tf.int32, size=batches, infer_shape=False)
        losses = tf.zeros(len(self._conditions))
        for batch in tf.range(batches):
            part = slice(batch * self._batch_size, (batch + 1) * self._batch_size)
            predicted, batch_losses = self._batch(images[part], labels[part])
            predictions = predictions.write(batch, predicted)
            losses += batch_losses
        predicted = tf.ensure_shape(predictions.concat(), (None, len(self._conditions)))
        return predicted, losses / tf.cast(count, tf.float32)

    @traced_as_it_is
    def _batch(self, images, labels):
        return super()._batch(images, labels)

    def _after(self, parts):
        # Otherwise the first layer of all parts would come before the second of any.
        return tf.control_dependencies([parts[-1][0]] if parts else [])


class FusedAdam:
    """Adam by TensorFlow's fused kernel: the numbers of `keras.optimizers.Adam`, in half its time.

    Args:
        variables: trainable `keras.Variable`s.
        learning_rate: step size.
        beta_1, beta_2, epsilon: as in `keras.optimizers.Adam`.
    """

    def __init__(self, variables, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
        self._variables = list(variables)
        self._moments = [[tf.Variable(tf.zeros_like(v.value)) for v in variables] for _ in "mv"]
        self._steps = tf.Variable(0.0)
        self._constants = {
            "lr": learning_rate,
            "beta1": beta_1,
            "beta2": beta_2,
            "epsilon": epsilon,
        }

    @property
    def variables(self):
        """List of `tf.Variable`s: steps done, first and second moments."""
        first, second = self._moments
        return [self._steps, *first, *second]

    def apply(self, gradients):
        """Change the variables by one step along their gradients, and hold their constraints.

        A variable without a gradient, `None`, stays as it is.
        """
        # A weight that some other gradient still reads would be copied before it is changed.
        with tf.control_dependencies([g for g in gradients if g is not None]):
            steps = self._steps.assign_add(1.0)
            powers = {
                "beta1_power": self._constants["beta1"] ** steps,
                "beta2_power": self._constants["beta2"] ** steps,
            }
            weights = zip(self._variables, *self._moments, gradients, strict=True)
            for variable, m, v, gradient in weights:
                if gradient is not None:
                    self._change(variable, m, v, gradient, powers)

    def _change(self, variable, m, v, gradient, powers):
        tf.raw_ops.ResourceApplyAdam(
            var=variable.value.handle,
            m=m.handle,
            v=v.handle,
            # Dense: that of an embedding has the rows that were looked up.
            grad=tf.convert_to_tensor(gradient),
            **powers,
            **self._constants,
        )
        if variable.constraint is not None:
            variable.assign(variable.constraint(variable))


@contextmanager
def matrix_products(tf32):
    """A block in which a GPU may round factors of float32 products to TF32, or must not."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)

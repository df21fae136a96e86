# SPDX-License-Identifier: Apache-2.0
"""Attention in own layers, an encoder with a decoder, states handed on."""

import keras
import numpy as np
from keras import layers, ops
from script_tools import fix, sentences, show, summary


class TransformerEncoder(layers.Layer):
    def __init__(self, embed_dim, dense_dim, num_heads, **kwargs):
        super().__init__(**kwargs)
        self.embed_dim = embed_dim
        self.dense_dim = dense_dim
        self.num_heads = num_heads
        self.attention = layers.MultiHeadAttention(
            num_heads=num_heads, key_dim=embed_dim
        )
        self.dense_proj = keras.Sequential(
            [layers.Dense(dense_dim, activation="relu"), layers.Dense(embed_dim)]
        )
        self.layernorm_1 = layers.LayerNormalization()
        self.layernorm_2 = layers.LayerNormalization()
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is not None:
            mask = mask[:, None, :]
        attention_output = self.attention(inputs, inputs, attention_mask=mask)
        proj_input = self.layernorm_1(inputs + attention_output)
        proj_output = self.dense_proj(proj_input)
        return self.layernorm_2(proj_input + proj_output)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "embed_dim": self.embed_dim,
                "num_heads": self.num_heads,
                "dense_dim": self.dense_dim,
            }
        )
        return config


class PositionalEmbedding(layers.Layer):
    def __init__(self, sequence_length, input_dim, output_dim, **kwargs):
        super().__init__(**kwargs)
        self.token_embeddings = layers.Embedding(
            input_dim=input_dim, output_dim=output_dim
        )
        self.position_embeddings = layers.Embedding(
            input_dim=sequence_length, output_dim=output_dim
        )
        self.sequence_length = sequence_length
        self.input_dim = input_dim
        self.output_dim = output_dim

    def call(self, inputs):
        length = ops.shape(inputs)[-1]
        positions = ops.arange(start=0, stop=length, step=1)
        return self.token_embeddings(inputs) + self.position_embeddings(positions)

    def compute_mask(self, inputs, mask=None):
        return ops.not_equal(inputs, 0)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "output_dim": self.output_dim,
                "sequence_length": self.sequence_length,
                "input_dim": self.input_dim,
            }
        )
        return config


x, y = sentences(60, 10, 50)
inputs = keras.Input(shape=(None,), dtype="int64")
z = PositionalEmbedding(10, 50, 8)(inputs)
z = TransformerEncoder(8, 16, 2)(z)
z = layers.GlobalAveragePooling1D()(z)
z = layers.Dropout(0.0)(z)
outputs = layers.Dense(1, activation="sigmoid")(z)
model = keras.Model(inputs, outputs)
fix(model)
model.compile(
    optimizer=keras.optimizers.SGD(0.1),
    loss="binary_crossentropy",
    metrics=["accuracy"],
)
show(
    "history",
    model.fit(x, y, epochs=2, batch_size=20, shuffle=False, verbose=0).history,
)
show("predict", model.predict(x[:4], verbose=0))
model.save("t.keras")
again = keras.models.load_model(
    "t.keras",
    custom_objects={
        "TransformerEncoder": TransformerEncoder,
        "PositionalEmbedding": PositionalEmbedding,
    },
)
show("loaded", again.predict(x[:4], verbose=0))
show("weights", [(w.path, tuple(w.shape)) for w in model.weights])


class TransformerDecoder(layers.Layer):
    def __init__(self, embed_dim, num_heads, **kwargs):
        super().__init__(**kwargs)
        self.a1 = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.a2 = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.n1, self.n2 = layers.LayerNormalization(), layers.LayerNormalization()
        self.supports_masking = True

    def call(self, inputs, encoder_outputs, mask=None):
        a = self.a1(query=inputs, value=inputs, key=inputs, use_causal_mask=True)
        a = self.n1(inputs + a)
        b, scores = self.a2(
            query=a,
            value=encoder_outputs,
            key=encoder_outputs,
            return_attention_scores=True,
        )
        return self.n2(a + b)


enc_in = keras.Input((6,), dtype="int64", name="english")
e = layers.Embedding(50, 8)(enc_in)
e = TransformerEncoder(8, 16, 2)(e)
dec_in = keras.Input((5,), dtype="int64", name="spanish")
d = layers.Embedding(50, 8)(dec_in)
d = TransformerDecoder(8, 2)(d, e)
d = layers.Dense(50, activation="softmax")(d)
seq2seq = keras.Model([enc_in, dec_in], d, name="s2s")
fix(seq2seq)
seq2seq.compile(
    optimizer=keras.optimizers.SGD(0.1),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
show(
    "s2s",
    seq2seq.fit(
        {"english": x[:, :6], "spanish": x[:, 4:9]},
        x[:, 5:10],
        epochs=2,
        batch_size=20,
        shuffle=False,
        verbose=0,
    ).history,
)
summary(seq2seq)

# encoder-decoder with states
encoder_inputs = layers.Input(shape=[None], dtype="int32")
decoder_inputs = layers.Input(shape=[None], dtype="int32")
emb = layers.Embedding(50, 6)
encoder = layers.LSTM(7, return_state=True)
_, state_h, state_c = encoder(emb(encoder_inputs))
decoder = layers.LSTM(7, return_sequences=True)
o = decoder(emb(decoder_inputs), initial_state=[state_h, state_c])
o = layers.TimeDistributed(layers.Dense(50, activation="softmax"))(o)
ed = keras.Model([encoder_inputs, decoder_inputs], o, name="ed")
fix(ed)
ed.compile(
    loss="sparse_categorical_crossentropy",
    optimizer=keras.optimizers.SGD(0.5, momentum=0.9),
)
show(
    "ed",
    ed.fit(
        [x, x[:, :5]], x[:, 1:6], epochs=2, batch_size=20, shuffle=False, verbose=0
    ).history,
)
summary(ed)
att = layers.Attention(use_scale=True)
show(
    "att",
    att(
        [np.ones((1, 2, 3), "f"), np.arange(12, dtype="f").reshape(1, 4, 3)],
        return_attention_scores=True,
    ),
)

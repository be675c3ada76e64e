"""The codecs of sound and of still pictures without torch: NumPy around small graphs that onnxruntime runs.

    model_files.py   a model's configuration and weights as arrays
    graphs.py        opening `graphs/*.onnx` with those weights
    spectra.py       waveform -> log spectra, spectra -> waveform
    source.py        harmonics and noise of the decoder
    quantizer.py     codes: search and sum
    layers.py        levels after the base: waveform.py (with low_band.py, covariance.py), envelope.py, shaped_codes.py
    audio_codec.py   all of that as a codec that `coding/audio.py` drives, as it drives `Jodio`
    picture_codec.py still pictures, as `coding/picture_file.py` drives them; row_encoder.py, residual_search.py
    choose.py        what is covered, and which runtime is used when

The graphs are made from the networks by `josiecodec/export_runtime.py` and `export_pictures.py`. Nothing here imports
torch.
"""

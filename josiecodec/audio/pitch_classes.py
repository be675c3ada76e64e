"""Numbers that every decoder with a harmonic source shares, whatever runs it."""

PITCH_BINS = 160
PITCH_RANGE = (50.0, 1000.0)  # Hz
NOISE_FRAMES = 512
TURN = 1 << 32  # a full turn of phase as an integer, so that sums of it are exact in any order
WARM_UP = 24  # frames after which no layer of such a decoder remembers what came before, but for what is counted

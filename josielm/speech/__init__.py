"""Speaking: text to words, words to phones, phones to the codec's latents, latents to codes."""

"""JPEG XL of kinds that the plugin of Pillow cannot write, of 96 x 64 pixels; made with libjxl."""

import base64

# the chart, turned by a quarter in its header and, once more, in EXIF, as cjxl writes it
TURNED = base64.b64decode(
    "AAAADEpYTCANCocKAAAAFGZ0eXBqeGwgAAAAAGp4bCAAAAAmRXhpZgAAAABJSSoACAAAAAEAEgEDAAEAAAAGAAAAAAAAAAAAAKpqeGxj/woPLR"
    "ATCAQBAFgCSyg2Rp/uFBRMMcKdqGf3Z/53LxAYAJCIAUAvrnnLRpbPCLVfFoZTioOhvv8MNul5+/pykkk4wOEI55+sFV7nAkc/AhwywL/bztI2"
    "zg/FATHQD8BQzPTjNQpaQQzeZzOukOTAPYkXQ3EDF+V2KAOulHYv8Oa4Q6iVhKVxwrB2a/Byf3LZoJwx6wNFd/UaFo4SrjNFiIcA"
)
# red, green and blue, by FFmpeg
ANIMATED = base64.b64decode(
    "/woPBSUAICYIAAEAQABLGIsVgF3+fwAJ1gB6H/wBCAABAEAASxiLFYBd/n9mu9UAAN39AQgABQBAAEsYixWAXf5/PrfWAG5j/AE="
)
# the green of the chart as linear light, with an alpha of 0, 64, 128, 191, 255, 255 of its columns
GREY_ALPHA_16 = base64.b64decode(
    "AAAADEpYTCANCocKAAAAFGZ0eXBqeGwgAAAAAGp4bCAAAAAJanhsbAoAAACianhsY/8KD/Ej+AEoWgQIEBAAKAJLKCbmmkkomCYJvhHn/9//jc"
    "HYGHchABdACAoALucogA0+QAAIMLg/B8FSLWWAHNCDUHPqKXOQbFeeO4tf3i4guIz8cSUuFt/Wi6gGfZFQ4/sZBKoMEDmaG1TuwFS5N/yma3Ir"
    "d52EaK0K9G9SQ7U7o3e3Rs7OdDVQKbDkOQLbV6eD3sZxh0VKrhM="
)
# the chart in HDR (PQ, BT.2020), by FFmpeg
PQ = base64.b64decode(
    "AAAADEpYTCANCocKAAAAFGZ0eXBqeGwgAAAAAGp4bCAAAAAJanhsbAoAAADpanhsY/8KDwX8AOTRIw4HAAAAgAgAAQAwA0soNBYehZOCghkACs"
    "Sdyce9UYoxWqoRhoi6QGAAvRg5AO5qciMXp5Tbhw6UdqbVdVakpY1cJfIrNVePgQgNBYpDt06BA5dErnjdFhcVkSwIRQ9n4lvVDysTupabHpSE"
    "cGYl3ZUL5HzOefqHf0BOc704eD4QV4X5nhxPVtFi1mXiq0Pdl/73pYgQnpR0ZWHw57JnLONkCl3iH7BPe6GIAOcs25xCvFDb2FOisQ4WxRllBa"
    "+pc+b2kvvfD2QPi8ly0OWyih+hQSfpPc7sEA=="
)

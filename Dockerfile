# josiecodec on CPUs:
#   docker build -t josiecodec .
#   docker run --rm -v "$PWD:/data" josiecodec encode talk.wav talk.josie
FROM python:3.11-slim

# The wheel of PyTorch without CUDA: a quarter of the size of the default one with its libraries.
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch

COPY pyproject.toml README.md LICENSE /src/
COPY josiecodec /src/josiecodec
COPY josielm /src/josielm
COPY cli /src/cli
RUN pip install --no-cache-dir /src && rm -rf /src

RUN useradd --create-home user
USER user
WORKDIR /data
ENTRYPOINT ["josiecodec"]

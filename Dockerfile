# josiecodec in a container:
#   docker build -t josiecodec .
#   docker run --rm -v "$PWD:/data" josiecodec encode talk.wav talk.josie
FROM python:3.11-slim

# PyTorch's index of wheels without CUDA, a quarter of the size of the default ones with their libraries:
#   docker build --build-arg TORCH_INDEX=... -t josiecodec .
ARG TORCH_INDEX=""
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch

COPY pyproject.toml README.md LICENSE /src/
COPY josiecodec /src/josiecodec
COPY josielm /src/josielm
COPY cli /src/josiecodec_cli
RUN pip install --no-cache-dir /src && rm -rf /src

RUN useradd --create-home user
USER user
RUN python -c "from josiecodec.kernels import compile_all; compile_all()"
WORKDIR /data
ENTRYPOINT ["josiecodec"]

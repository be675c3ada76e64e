# josiecodec in a container:
#   docker build -t josiecodec .
#   docker run --rm -v "$PWD:/data" josiecodec encode talk.wav talk.josie
FROM python:3.11-slim

# Extras, see README.md, like EXTRAS=torch. With PyTorch TORCH_INDEX can be its index of wheels without CUDA, a quarter
# of the size of the default ones with their libraries:
#   docker build --build-arg EXTRAS=torch --build-arg TORCH_INDEX=... -t josiecodec .
ARG EXTRAS="numba"
ARG TORCH_INDEX=""
RUN if [ -n "$TORCH_INDEX" ]; then pip install --no-cache-dir --index-url "$TORCH_INDEX" torch; fi

COPY pyproject.toml README.md LICENSE build_page.py /src/
COPY josiecodec /src/josiecodec
COPY josielm /src/josielm
COPY cli /src/josiecodec_cli
RUN pip install --no-cache-dir "/src[$EXTRAS]" && rm -rf /src

RUN useradd --create-home user
USER user
RUN python -c "from josiecodec.kernels import compile_all; compile_all()"
WORKDIR /data
ENTRYPOINT ["josiecodec"]

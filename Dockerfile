# docker build -t mtl .            a CPU
# docker build -t mtl --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
# docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" mtl train task=ner,sentiment
FROM python:3.11-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

COPY . /src
RUN pip install --no-cache-dir --constraint /src/constraints.txt \
      --extra-index-url "$TORCH_INDEX" "/src[serve,onnx]" \
 && rm -rf /src \
 && useradd --create-home --uid 1000 mtl \
 && install --directory --owner mtl --mode 1777 /work /cache

ENV HOME=/cache HF_HOME=/cache/huggingface
USER mtl
WORKDIR /work
ENTRYPOINT ["mtl"]
CMD ["--help"]

#!/bin/sh
# `movielens.sh HOME` makes versions, matrix and tables on film posters. HOME is a workspace with the data
# set movielens and its versions raw, centred and pca64 (see ../README.md).
set -eu
home=$1
here=$(cd "$(dirname "$0")" && pwd)
tables=$here/../../results/tables

head() { # METHOD VERSION [more]: a linear layer on top of `raw`
  method=$1 version=$2
  shift 2
  ctrbench --home "$home" pretrain "$method" --dataset movielens --version "$version" --from-version raw \
    --allow-collapsed --set training.batch_size=2048 --set training.learning_rate=1e-3 --set training.epochs=5 "$@"
}

pixels() { # METHOD VERSION [more]: the small encoder
  method=$1 version=$2
  shift 2
  ctrbench --home "$home" pretrain "$method" --dataset movielens --version "$version" --images \
    --allow-collapsed "$@"
}

head courier courier
head courier courier-projection --set method.projection=true
head courier courier-token --set method.query=token
head courier courier-mask --set training.random_mask=true
head supervised supervised
head clip clip --set training.epochs=40 # more epochs, because there are fewer items than lines

# Methods that train on items encode about 80,000 pictures. Methods that train on lines encode somewhat more in
# one epoch of large batches, because lines share few pictures.
pixels simclr pixels-simclr --set training.epochs=8
pixels simsiam pixels-simsiam --set training.epochs=8
pixels clip pixels-clip --set training.epochs=16
pixels courier pixels-courier --set training.epochs=1 --set training.batch_size=1024 --set training.learning_rate=1e-3
pixels supervised pixels-supervised --set training.epochs=1 --set training.batch_size=1024 --set training.learning_rate=1e-3

ctrbench --home "$home" embeddings quality --dataset movielens > "$tables/courier-movielens-quality.text"
ctrbench --home "$home" run "$here/movielens.yaml" --no-report > /dev/null
for format in text markdown json; do
  ctrbench --home "$home" tables "$here/movielens.yaml" --format $format --full --output "$tables/courier-movielens.$format"
done
ctrbench --home "$home" screen "$here/movielens.yaml" > "$tables/courier-movielens-screen.text"

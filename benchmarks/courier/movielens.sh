#!/bin/sh
# Versions, matrix and tables on film posters: `movielens.sh HOME`, a workspace with that data set and
# its versions raw, centred and pca64 (see ../README.md).
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

pixels() { # METHOD VERSION EPOCHS: the small encoder; about 80,000 pictures encoded
  ctrbench --home "$home" pretrain "$1" --dataset movielens --version "$2" --images \
    --allow-collapsed --set training.epochs="$3"
}

head courier courier
head courier courier-projection --set method.projection=true
head courier courier-token --set method.query=token
head courier courier-mask --set training.random_mask=true
head supervised supervised
head clip clip --set training.epochs=40 # of items, which are fewer than lines

pixels simclr pixels-simclr 8
pixels simsiam pixels-simsiam 8

ctrbench --home "$home" embeddings quality --dataset movielens > "$tables/courier-movielens-quality.text"
ctrbench --home "$home" run "$here/movielens.yaml" > /dev/null
for format in text markdown json; do
  ctrbench --home "$home" tables "$here/movielens.yaml" --format $format --output "$tables/courier-movielens.$format"
done
ctrbench --home "$home" screen "$here/movielens.yaml" > "$tables/courier-movielens-screen.text"

#!/bin/sh
# Versions, matrix and tables on film posters: `movielens.sh HOME`, a workspace with that data set and
# its versions raw, centred and pca64 (see ../README.md).
set -eu
home=$1
here=$(cd "$(dirname "$0")" && pwd)
tables=$here/../../results/tables

make() { # METHOD VERSION [more]
  method=$1 version=$2
  shift 2
  ctrbench --home "$home" pretrain "$method" --dataset movielens --version "$version" "$@"
}

head="--from-version raw --config $here/head.yaml"
make courier courier $head # unquoted: several words
make courier courier-projection $head --set method.projection=true
make courier courier-token $head --set method.query=token
make courier courier-mask $head --set training.random_mask=true
make clip clip --from-version raw --config "$here/head-other.yaml" --set training.epochs=20
make supervised supervised --from-version raw --config "$here/head-other.yaml"

# about 200,000 pictures encoded each
make courier pixels-courier --images --config "$here/pixels.yaml" --set training.epochs=1
for method in simclr simsiam; do
  make $method pixels-$method --images --config "$here/pixels-other.yaml" --set training.epochs=20 --allow-collapsed
done

ctrbench --home "$home" embeddings quality --dataset movielens
ctrbench --home "$home" run "$here/movielens.yaml" > /dev/null
for format in text markdown json; do
  ctrbench --home "$home" tables "$here/movielens.yaml" --format $format --output "$tables/courier-movielens.$format"
done
ctrbench --home "$home" screen "$here/movielens.yaml" > "$tables/courier-movielens-screen.text"

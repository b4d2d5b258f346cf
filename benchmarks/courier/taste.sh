#!/bin/sh
# World, versions, matrix and tables on drawn garments: `taste.sh HOME`, an empty folder.
set -eu
home=$1
here=$(cd "$(dirname "$0")" && pwd)
tables=$here/../../results/tables

python -m data_synth --out "$home" --world taste --strength 1 --users 6000 --items 1000 --impressions 360000 --pictures 64

make() { # METHOD VERSION [more]
  method=$1 version=$2
  shift 2
  ctrbench --home "$home" pretrain "$method" --dataset taste --version "$version" --images "$@"
}

# about 150,000 pictures encoded each
lines="--config $here/pixels.yaml --set training.epochs=4"
make courier courier $lines # unquoted: several words
make courier courier-projection $lines --set method.projection=true
make courier courier-token $lines --set method.query=token
make courier courier-mask $lines --set training.random_mask=true
make supervised supervised --config "$here/pixels-other.yaml" --set training.epochs=4
for method in simclr simsiam; do
  make $method $method --config "$here/pixels-other.yaml" --set training.epochs=100 --allow-collapsed
done

ctrbench --home "$home" embeddings quality --dataset taste
ctrbench --home "$home" run "$here/taste.yaml" > /dev/null
for format in text markdown json; do
  ctrbench --home "$home" tables "$here/taste.yaml" --format $format --output "$tables/courier-taste.$format"
done
ctrbench --home "$home" screen "$here/taste.yaml" > "$tables/courier-taste-screen.text"

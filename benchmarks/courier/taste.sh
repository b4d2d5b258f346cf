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
  ctrbench --home "$home" pretrain "$method" --dataset taste --version "$version" --images \
    --config "$here/pixels.yaml" "$@"
}

make courier courier
make courier courier-projection --set method.projection=true
make courier courier-token --set method.query=token
make courier courier-mask --set training.random_mask=true
make supervised supervised
make simclr simclr --set training.epochs=100
make simsiam simsiam --set training.epochs=100

ctrbench --home "$home" embeddings quality --dataset taste
ctrbench --home "$home" run "$here/taste.yaml" > /dev/null
for format in text markdown json; do
  ctrbench --home "$home" tables "$here/taste.yaml" --format $format --output "$tables/courier-taste.$format"
done

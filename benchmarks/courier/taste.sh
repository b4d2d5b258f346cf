#!/bin/sh
# World, versions, matrix and tables on drawn garments: `taste.sh HOME`, an empty folder.
set -eu
home=$1
here=$(cd "$(dirname "$0")" && pwd)
tables=$here/../../results/tables

python -m data_synth --out "$home" --world taste --strength 1 --users 6000 --items 1000 --impressions 360000 --pictures 64

make() { # METHOD VERSION EPOCHS [more]: 50,000 to 140,000 pictures encoded
  method=$1 version=$2 epochs=$3
  shift 3
  ctrbench --home "$home" pretrain "$method" --dataset taste --version "$version" --images \
    --allow-collapsed --set training.batch_size=1024 --set training.epochs="$epochs" "$@"
}

make courier courier 6
make courier courier-projection 6 --set method.projection=true
make courier courier-token 6 --set method.query=token
make courier courier-mask 6 --set training.random_mask=true
make supervised supervised 6
make simclr simclr 40 --set training.batch_size=256 # of items, which are fewer than lines
make simsiam simsiam 40 --set training.batch_size=256

ctrbench --home "$home" embeddings quality --dataset taste
ctrbench --home "$home" run "$here/taste.yaml" > /dev/null
for format in text markdown json; do
  ctrbench --home "$home" tables "$here/taste.yaml" --format $format --output "$tables/courier-taste.$format"
done
ctrbench --home "$home" screen "$here/taste.yaml" > "$tables/courier-taste-screen.text"

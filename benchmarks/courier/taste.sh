#!/bin/sh
# `taste.sh HOME` makes world, versions, matrix and tables on drawn garments. HOME is an empty folder.
set -eu
home=$1
here=$(cd "$(dirname "$0")" && pwd)
tables=$here/../../results/tables

python -m data_synth --out "$home" --world taste --strength 1 --users 6000 --items 1000 --impressions 360000 --pictures 64

make() { # METHOD VERSION EPOCHS [more]
  method=$1 version=$2 epochs=$3
  shift 3
  ctrbench --home "$home" pretrain "$method" --dataset taste --version "$version" --allow-collapsed \
    --set training.epochs="$epochs" "$@"
}

for method in simclr simsiam; do # the small encoder; it encodes 50,000 pictures
  make $method $method 40 --images
done

ctrbench --home "$home" embeddings derive center simclr --as simclr-centred --dataset taste

head="--from-version simclr" # a linear layer on top, five epochs of lines; used unquoted, as two words
make courier courier 5 $head
make courier courier-projection 5 $head --set method.projection=true
make courier courier-token 5 $head --set method.query=token
make courier courier-mask 5 $head --set training.random_mask=true
make supervised supervised 5 $head

ctrbench --home "$home" embeddings quality --dataset taste > "$tables/courier-taste-quality.text"
ctrbench --home "$home" run "$here/taste.yaml" --no-report > /dev/null
for format in text markdown json; do
  ctrbench --home "$home" tables "$here/taste.yaml" --format $format --full --output "$tables/courier-taste.$format"
done
ctrbench --home "$home" screen "$here/taste.yaml" > "$tables/courier-taste-screen.text"

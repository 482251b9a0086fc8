#!/bin/sh
# Train the three committees in work/, or continue after an interruption: four members each.
# Further options are for all of them: sh train.sh --at-once 2, or --steps 100 for a test.
set -e
cd "${WORK:-$(dirname "$0")/work}"

mlobs train potential potential-liquid.extxyz --also potential-clusters.extxyz=0.15 \
    --test potential-test.extxyz --energy-key REF_energy --forces-key REF_forces \
    --energy-weight 30 --cutoff 4 --batch 1 --steps 15000 --rate 0.01 --pair-repulsion \
    --network channels=20,degree=0,layers=2,correlation=3,radial=64-64 -o potential "$@"

mlobs train dipole dielectric-liquid.extxyz --also dielectric-clusters.extxyz=0.1 \
    --also born.extxyz=0.5 --test dielectric-test.extxyz --key REF_dipole \
    --born-charges-key REF_apt --oxidation-numbers O=-2,H=1 --branches keep \
    --cutoff 4 --batch 1 --steps 3000 --rate 0.02 \
    --network channels=8,layers=2,correlation=2,radial=32-32 -o dipole "$@"

mlobs train polarizability dielectric-liquid.extxyz --also dielectric-clusters.extxyz=0.1 \
    --test dielectric-test.extxyz --key REF_polarizability \
    --cutoff 4 --batch 1 --steps 5000 --rate 0.07 \
    --network channels=8,layers=1,correlation=3,radial=16 -o polarizability "$@"

# where client.toml and evaluate.py look for them
for kind in potential dipole polarizability; do
    cp $kind/$kind-[0-9]*.model $kind/$kind-[0-9]*.json .
done

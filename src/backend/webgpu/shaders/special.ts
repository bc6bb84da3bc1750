/** Functions that keep a NaN, because WGSL does not guarantee what operators do with it. */
export const special = /* wgsl */ `
fn isNan(v: f32) -> bool {
  return (bitcast<u32>(v) & 0x7fffffff) > 0x7f800000;
}

// WGSL leaves exp() and log() of NaN undefined
fn expOf(v: f32) -> f32 {
  return select(exp(v), v, isNan(v));
}

fn logOf(v: f32) -> f32 {
  return select(log(v), v, isNan(v));
}
`;

// An exponential distribution by quantiles. A table, so that a delay does not depend on a mathematics library.
#ifndef KERNEL_MODEL_SIM_EXPONENTIAL_H_
#define KERNEL_MODEL_SIM_EXPONENTIAL_H_

#include <cstdint>

namespace aiolab {

inline constexpr uint32_t kQuantiles = 64;

// With mean 1000.
inline constexpr int64_t kExponential[kQuantiles] = {
    8,    24,   40,   56,   73,   90,   107,  125,  143,  161,  179,  198,  217,  237,  257,  277,
    298,  319,  341,  363,  386,  409,  433,  458,  483,  508,  535,  562,  589,  618,  647,  678,
    709,  741,  774,  809,  845,  882,  920,  960,  1002, 1045, 1091, 1138, 1188, 1241, 1297, 1356,
    1418, 1485, 1556, 1633, 1717, 1808, 1908, 2019, 2144, 2287, 2454, 2655, 2906, 3243, 3753, 4852};

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_EXPONENTIAL_H_

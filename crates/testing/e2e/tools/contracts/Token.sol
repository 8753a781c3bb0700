// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// A million tokens, all the deployer's.
contract Token is ERC20 {
    constructor() ERC20("Synod Token", "SYN") {
        _mint(msg.sender, 1_000_000 ether);
    }
}
